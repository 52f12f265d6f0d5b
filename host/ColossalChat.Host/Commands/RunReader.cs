using System.Globalization;
using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Commands;

/// <summary>A run as its folder tells it.</summary>
/// <param name="Folder">Where it is.</param>
/// <param name="Lines">metrics.jsonl in file order.</param>
internal sealed record RunReader(RunFolder Folder, IReadOnlyList<MetricsLine> Lines)
{
    /// <summary>Name of its folder.</summary>
    public string Name => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(Folder.Path)));

    /// <summary>Last iteration it reported.</summary>
    public long LastIteration => Lines.Select(line => line.Iteration).DefaultIfEmpty(0).Max();

    /// <summary>Last thing that was noted.</summary>
    public EventLine? LastEvent => Events.LastOrDefault();

    /// <summary>events.jsonl.</summary>
    public IEnumerable<EventLine> Events => JsonLines.Read(Folder.Events).Select(row => row.Deserialize<EventLine>(JsonLines.Format)!);

    /// <summary>Names of all metrics, sorted.</summary>
    public IReadOnlyList<string> MetricNames => [.. Lines.SelectMany(line => line.Metrics.Keys).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Opens a run.</summary>
    /// <param name="nameOrFolder">Its folder, or its name below <paramref name="root"/>.</param>
    /// <param name="root">Folder of runs.</param>
    /// <exception cref="UserErrorException">There is no such run.</exception>
    public static RunReader Open(string nameOrFolder, string root)
    {
        foreach (var folder in (string[])[nameOrFolder, Path.Combine(root, nameOrFolder)])
            if (IsRun(folder))
                return Read(folder);
        string[] nested = Directory.Exists(root) ? [.. RunFolders(root, MostDepth).Where(folder => Path.GetFileName(folder) == nameOrFolder)] : [];
        if (nested.Length == 1)
            return Read(nested[0]);
        if (nested.Length > 1)
            throw new UserErrorException($"'{nameOrFolder}' is the name of {nested.Length} runs; give one of {string.Join(", ", nested.Order(StringComparer.Ordinal))}.", ExitCode.Usage);
        throw new UserErrorException($"There is no run '{nameOrFolder}', neither as a folder nor in {root}. `colossalchat run list --folder {root}` shows those that are there.", ExitCode.NotFound);
    }

    /// <summary>All runs in a folder and in the folders below it, the newest first.</summary>
    public static IEnumerable<RunReader> All(string root) =>
        Directory.Exists(root)
            ? RunFolders(root, MostDepth).OrderByDescending(RunFolder.BegunAt).ThenBy(folder => folder, StringComparer.Ordinal).Select(Read)
            : throw new UserErrorException($"There is no folder {Path.GetFullPath(root)}; give the folder of runs with --folder.", ExitCode.NotFound);

    /// <summary>One metric over the iterations, in order.</summary>
    public IEnumerable<(long Iteration, double Value)> Series(string metric) =>
        Lines.Where(line => line.Metrics.ContainsKey(metric)).Select(line => (line.Iteration, line.Metrics[metric]));

    /// <summary>A number as tables show it.</summary>
    public static string Number(double value) => value.ToString("0.#####", CultureInfo.InvariantCulture);

    // Deep enough for runs/quickstart/runs/ppo and what people sort their runs into.
    private const int MostDepth = 5;

    private static readonly EnumerationOptions s_visible = new() { AttributesToSkip = FileAttributes.Hidden | FileAttributes.ReparsePoint, IgnoreInaccessible = true };

    // Nothing below a run is a run.
    private static IEnumerable<string> RunFolders(string root, int depth) =>
        Directory.EnumerateDirectories(root, "*", s_visible).SelectMany(folder =>
            IsRun(folder) ? [folder] : depth > 1 ? RunFolders(folder, depth - 1) : []);

    private static bool IsRun(string folder) => new RunFolder(folder).Marks.Any(File.Exists);

    private static RunReader Read(string folder)
    {
        var run = new RunFolder(folder);
        return new RunReader(run, JsonLines.Read(run.Metrics).Select(row => row.Deserialize<MetricsLine>(JsonLines.Format)!).ToArray());
    }
}
