using System.Diagnostics;
using System.Reflection;
using ColossalChat.PluginHost;
using ColossalChat.PluginKit;
using Xunit;

namespace ColossalChat.UnitTests.House;

[Trait("Category", "CI")]
public sealed class ShippedPluginTests
{
    [Fact]
    public void Exactly_the_plugins_that_have_source_are_shipped_and_taken()
    {
        using var catalog = PluginCatalog.Load([Path.Combine(Repository.HostFolder, "plugins")], new Dictionary<string, string>(), _ => { });
        Assert.Empty(catalog.Refusals.Select(refusal => refusal.ToString()));
        Assert.Equal(Repository.ProjectsWithSource("plugins").Where(name => name != "ColossalChat.Numerics"), catalog.Plugins.Select(plugin => plugin.Name));
    }

    [Fact]
    public void Every_plugin_passes_the_kit_that_its_authors_inherit()
    {
        var meant = Repository.ProjectsWithSource("plugins").Where(name => name != "ColossalChat.Numerics");
        var create = typeof(PluginConformance).GetMethod("CreatePlugin", BindingFlags.Instance | BindingFlags.NonPublic)!;
        var tested = GetType().Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(PluginConformance)))
            .Select(type => create.Invoke(Activator.CreateInstance(type), null)!.GetType().Assembly.GetName().Name);
        Assert.Equal(meant, tested.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_plugin_that_is_renamed_leaves_the_host_at_the_next_build()
    {
        var root = Directory.CreateTempSubdirectory("colossalchat-shipped-").FullName;
        try
        {
            var plugins = Path.Combine(root, "host", "out", "plugins");
            Directory.CreateDirectory(Path.Combine(root, "host", "sdk"));
            File.Copy(Path.Combine(Repository.Root, "host", "ShippedPlugins.targets"), Path.Combine(root, "host", "ShippedPlugins.targets"));
            await File.WriteAllTextAsync(Path.Combine(root, "host", "Host.proj"), """
                <Project DefaultTargets="CopyShippedPlugins">
                  <PropertyGroup><OutDir>out/</OutDir><Configuration>Release</Configuration><TargetFramework>net10.0</TargetFramework></PropertyGroup>
                  <Import Project="ShippedPlugins.targets" />
                </Project>
                """);
            Directory.CreateDirectory(Path.Combine(root, "host", "out"));
            await File.WriteAllTextAsync(Path.Combine(root, "host", "out", "TorchSharp.dll"), "goes into the sdk");
            AddPlugin(root, "Some.Old");
            AddPlugin(root, "Some.Other");
            await BuildAsync(root);
            Assert.Equal(["Some.Old", "Some.Other"], FoldersIn(plugins));
            Directory.CreateDirectory(Path.Combine(plugins, "An.Authors.Own"));

            Directory.Delete(Path.Combine(root, "plugins", "Some.Old"), recursive: true);
            AddPlugin(root, "Some.New");
            await BuildAsync(root);

            Assert.Equal(["An.Authors.Own", "Some.New", "Some.Other"], FoldersIn(plugins));
            Assert.True(File.Exists(Path.Combine(plugins, "Some.New", "Some.New.dll")));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static void AddPlugin(string root, string name)
    {
        var output = Directory.CreateDirectory(Path.Combine(root, "plugins", name, "bin", "Release", "net10.0")).FullName;
        File.WriteAllText(Path.Combine(root, "plugins", name, name + ".csproj"), "<Project />");
        File.WriteAllText(Path.Combine(output, name + ".dll"), "what its build made");
    }

    private static IEnumerable<string?> FoldersIn(string folder) =>
        Directory.EnumerateDirectories(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal);

    private static async Task BuildAsync(string root)
    {
        var start = new ProcessStartInfo("dotnet", ["msbuild", Path.Combine(root, "host", "Host.proj"), "-v:q", "-nologo"]) { RedirectStandardOutput = true };
        foreach (var inherited in start.Environment.Keys.Where(key => key.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray())
            start.Environment.Remove(inherited);
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        using var build = Process.Start(start)!;
        var output = await build.StandardOutput.ReadToEndAsync();
        await build.WaitForExitAsync();
        Assert.True(build.ExitCode == 0, output);
    }
}
