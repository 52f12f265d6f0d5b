using System.Reflection;

namespace ColossalChat.EndToEndTests;

/// <summary>Where the tests find the repository and the shared data.</summary>
public static class Repository
{
    /// <summary>Folder of the solution.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Debug or Release: the tests run the host of their own configuration.</summary>
    public static string Configuration { get; } =
        typeof(Repository).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()?.Configuration ?? "Release";

    /// <summary>A file or folder of the shared data.</summary>
    public static string DataPath(params string[] parts) => TestData.PathOf(parts);

    /// <summary>A fresh folder below the system's temporary folder; kept, so that a failed run can be looked at.</summary>
    public static string NewFolder(string name) =>
        Directory.CreateTempSubdirectory($"colossalchat-{name}-").FullName;

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "ColossalChat.sln")))
            folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("No ColossalChat.sln above the test assembly.");
    }
}
