using System.Diagnostics;
using ColossalChat.UnitTests.House;
using Xunit;

namespace ColossalChat.UnitTests.PluginHost;

[CollectionDefinition(Name)]
public sealed class BuiltPluginsCollection : ICollectionFixture<BuiltPlugins>
{
    public const string Name = "built plugins";
}

/// <summary>The projects of tests/plugins, built once against the host's sdk, and folders to put them into.</summary>
public sealed class BuiltPlugins : IAsyncLifetime
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("colossalchat-plugins-").FullName;
    private int _folders;

    public async Task InitializeAsync() =>
        await BuildAsync(Path.Combine(Repository.Root, "tests", "plugins", "Plugins.proj"));

    public Task DisposeAsync()
    {
        Directory.Delete(_scratch, recursive: true);
        return Task.CompletedTask;
    }

    /// <summary>A new empty folder outside the source tree.</summary>
    public string NewFolder()
    {
        var folder = Path.Combine(_scratch, Interlocked.Increment(ref _folders).ToString(System.Globalization.CultureInfo.InvariantCulture));
        return Directory.CreateDirectory(folder).FullName;
    }

    /// <summary>A new plugin folder that holds the outputs of some projects.</summary>
    public string FolderOf(params string[] projects)
    {
        var folder = NewFolder();
        foreach (var project in projects)
            Install(folder, project);
        return folder;
    }

    /// <summary>Copies a project's output into a plugin folder.</summary>
    public static void Install(string folder, string project, string? renamed = null)
    {
        var output = Path.Combine(Repository.Root, "tests", "plugins", project, "bin", "Release", "net10.0");
        var target = Directory.CreateDirectory(Path.Combine(folder, renamed ?? project)).FullName;
        foreach (var file in Directory.EnumerateFiles(output))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
    }

    /// <summary>Builds a project as a plugin's author would: nothing but the host's folder is known to it.</summary>
    public static async Task BuildAsync(string project, string? output = null)
    {
        var log = Path.GetTempFileName();
        var start = new ProcessStartInfo("dotnet", ["build", "-c", "Release", project, "-v", "q", "-nologo", $"-flp:LogFile={log};Verbosity=minimal"]);
        if (output is not null)
        {
            start.ArgumentList.Add("-o");
            start.ArgumentList.Add(output);
        }

        foreach (var inherited in start.Environment.Keys.Where(key => key.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray())
            start.Environment.Remove(inherited);
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["COLOSSALCHAT_HOME"] = Repository.HostFolder;

        using var build = Process.Start(start)!;
        await build.WaitForExitAsync();
        var text = await File.ReadAllTextAsync(log);
        File.Delete(log);
        Assert.True(build.ExitCode == 0, $"dotnet build {project} failed:\n{text}");
        Assert.DoesNotContain("warning", text, StringComparison.Ordinal);
    }
}
