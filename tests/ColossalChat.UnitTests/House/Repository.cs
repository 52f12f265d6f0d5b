namespace ColossalChat.UnitTests.House;

/// <summary>Where the source tree and its outputs are, seen from the running tests.</summary>
internal static class Repository
{
    /// <summary>Folder of ColossalChat.sln.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Debug or Release, as these tests were built.</summary>
    public static string Configuration { get; } =
        new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar)).Parent!.Name;

    /// <summary>Output of the host, complete with plugins and sdk.</summary>
    public static string HostFolder => Output("host", "ColossalChat.Host");

    /// <summary>Output folder of a project.</summary>
    public static string Output(string group, string project) => Path.Combine(Root, group, project, "bin", Configuration, "net10.0");

    /// <summary>Projects of a top folder that have any source.</summary>
    public static IReadOnlyList<string> ProjectsWithSource(string group) =>
        [.. Directory.GetDirectories(Path.Combine(Root, group))
            .Where(folder => File.Exists(Path.Combine(folder, Path.GetFileName(folder) + ".csproj")) && SourcesIn(folder).Any())
            .Select(folder => Path.GetFileName(folder))
            .Order(StringComparer.Ordinal)];

    /// <summary>C# files of top folders, without what the build wrote.</summary>
    public static IReadOnlyList<string> Sources(params string[] groups) =>
        [.. groups.SelectMany(group => SourcesIn(Path.Combine(Root, group)))];

    /// <summary>A file's path from the root, for messages.</summary>
    public static string Relative(string file) => Path.GetRelativePath(Root, file);

    private static IEnumerable<string> SourcesIn(string folder) =>
        Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"))
            .Order(StringComparer.Ordinal);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "ColossalChat.sln")))
                return folder.FullName;
        throw new InvalidOperationException($"ColossalChat.sln is not above {AppContext.BaseDirectory}; these tests run from the source tree.");
    }
}
