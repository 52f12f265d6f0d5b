namespace ColossalChat;

/// <summary>Real input that stands beside the project, not in it; one idea of it for all test projects.</summary>
public static class TestData
{
    // What is in it for certain; an empty or half copied folder is not it.
    private const string Known = "stories260K";

    /// <summary>Its folder, or null where it is absent: <c>COLOSSALCHAT_TESTDATA</c>, else <c>../shared/data</c> from the project's root.</summary>
    public static string? Folder { get; } = Find();

    /// <summary>Path of a file or folder in it.</summary>
    public static string PathOf(params string[] parts) =>
        Path.Combine([Folder ?? throw new InvalidOperationException("There is no shared test data; mark the test [DataFact]."), .. parts]);

    /// <summary>Why a test that needs it is skipped; null when it is there.</summary>
    public static string? MissingMessage { get; } = Folder is null
        ? "Shared test data is absent: set COLOSSALCHAT_TESTDATA to its folder, or put it at ../shared/data beside the project."
        : null;

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("COLOSSALCHAT_TESTDATA") is { Length: > 0 } named)
            return IsIt(named) ? Path.GetFullPath(named) : null;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (!File.Exists(Path.Combine(folder.FullName, "ColossalChat.sln")))
                continue;
            var data = Path.Combine(folder.FullName, "..", "shared", "data");
            return IsIt(data) ? Path.GetFullPath(data) : null;
        }

        return null;
    }

    private static bool IsIt(string folder) => Directory.Exists(Path.Combine(folder, Known));
}

/// <summary>A test that needs the shared data; skipped and named where it is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class DataFactAttribute : Xunit.FactAttribute
{
    public DataFactAttribute() => Skip = TestData.MissingMessage;
}

/// <summary>Like <see cref="DataFactAttribute"/>, for theories.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class DataTheoryAttribute : Xunit.TheoryAttribute
{
    public DataTheoryAttribute() => Skip = TestData.MissingMessage;
}
