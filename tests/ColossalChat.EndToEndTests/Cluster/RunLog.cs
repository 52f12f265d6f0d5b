using System.Text.Json;

namespace ColossalChat.EndToEndTests;

/// <summary>What a run writes while it goes on, read from outside.</summary>
public static class RunLog
{
    /// <summary>Lines of a JSON lines file; none when it is not there. One that is being written, or was when its writer was killed, does not count.</summary>
    public static IReadOnlyList<JsonElement> Lines(string runFolder, string file)
    {
        var path = Path.Combine(runFolder, file);
        if (!File.Exists(path))
            return [];
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream);
        return [.. reader.ReadToEnd().Split('\n')[..^1].Where(line => line.EndsWith('}')).Select(line => JsonElement.Parse(line))];
    }

    /// <summary>Trained iterations with the time they were reported.</summary>
    public static IReadOnlyList<(long Iteration, DateTimeOffset Time)> Iterations(string runFolder) =>
    [
        .. Lines(runFolder, "metrics.jsonl")
            .Where(line => line.GetProperty("purpose").GetString() == "train")
            .Select(line => (line.GetProperty("iteration").GetInt64(), line.GetProperty("time").GetDateTimeOffset())),
    ];

    /// <summary>Events of one kind.</summary>
    public static IReadOnlyList<(DateTimeOffset Time, string Message)> Events(string runFolder, string kind) =>
    [
        .. Lines(runFolder, "events.jsonl")
            .Where(line => line.GetProperty("kind").GetString() == kind)
            .Select(line => (line.GetProperty("time").GetDateTimeOffset(), line.GetProperty("message").GetString()!)),
    ];
}
