using System.Diagnostics;

namespace ColossalChat.Tests;

/// <summary>
/// Builds several versions of the sample plugins, in a folder of its own, as their author would: the tree's own build of
/// them is another test's.
/// </summary>
public sealed class PluginVersions
{
    private const string Project = """
        <Project Sdk="Microsoft.NET.Sdk">
          <Import Project="$(COLOSSALCHAT_HOME)/sdk/ColossalChat.Plugin.props" />
          <PropertyGroup><Version>VERSION</Version></PropertyGroup>
        </Project>
        """;

    private readonly string _sources;
    private readonly string _scratch;

    /// <param name="sources">Folder <c>tests/plugins</c>.</param>
    /// <param name="scratch">An empty folder.</param>
    public PluginVersions(string sources, string scratch)
    {
        (_sources, _scratch) = (sources, scratch);
        foreach (var shared in Directory.GetFiles(sources, "Directory.*").Append(Path.Combine(sources, "Plugins.proj")))
            File.Copy(shared, Path.Combine(scratch, Path.GetFileName(shared)));
    }

    /// <summary>Adds a version.</summary>
    /// <param name="plugin">A sample plugin.</param>
    /// <param name="version">Its version.</param>
    /// <param name="edits">What is replaced in its source.</param>
    /// <returns>The folder that the build will write it to.</returns>
    public string Add(string plugin, string version, params (string Old, string New)[] edits)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_scratch, $"{plugin}-{version}")).FullName;
        var source = File.ReadAllText(Path.Combine(_sources, plugin, "Plugin.cs"));
        foreach (var (old, replacement) in edits)
            source = source.Contains(old, StringComparison.Ordinal) ? source.Replace(old, replacement, StringComparison.Ordinal) : throw new ArgumentException($"'{old}' is not in {plugin}.", nameof(edits));
        File.WriteAllText(Path.Combine(folder, "Plugin.cs"), source);
        File.WriteAllText(Path.Combine(folder, plugin + ".csproj"), Project.Replace("VERSION", version, StringComparison.Ordinal));
        return Path.Combine(folder, "bin", "Release", "net10.0");
    }

    /// <summary>Builds all of them.</summary>
    /// <param name="home">Folder of the built host.</param>
    public async Task BuildAsync(string home)
    {
        var start = new ProcessStartInfo("dotnet", ["build", "-c", "Release", Path.Combine(_scratch, "Plugins.proj"), "-v", "q", "-nologo"]) { RedirectStandardOutput = true };
        foreach (var inherited in start.Environment.Keys.Where(key => key.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray())
            start.Environment.Remove(inherited);
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["COLOSSALCHAT_HOME"] = home;
        using var build = Process.Start(start)!;
        var printed = await build.StandardOutput.ReadToEndAsync();
        await build.WaitForExitAsync();
        if (build.ExitCode != 0)
            throw new InvalidOperationException($"The plugins could not be built:\n{printed}");
    }

    /// <summary>Installs a version, as <c>cp -r</c> would, in place of what is there.</summary>
    /// <param name="built">From <see cref="Add"/>.</param>
    /// <param name="folder">Folder of plugins.</param>
    /// <param name="plugin">Name of the plugin.</param>
    public static void Install(string built, string folder, string plugin)
    {
        var target = Directory.CreateDirectory(Path.Combine(folder, plugin)).FullName;
        foreach (var file in Directory.GetFiles(built))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)), overwrite: true);
    }
}
