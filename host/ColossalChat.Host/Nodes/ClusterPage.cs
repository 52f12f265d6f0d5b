using System.Globalization;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Nodes;

/// <summary>What is shown of the nodes of a run; its JSON has the same names.</summary>
/// <param name="Folder">Of the run.</param>
/// <param name="IsLed">Whether a coordinator leads it now.</param>
/// <param name="Since">When the coordinator said what follows, UTC.</param>
/// <param name="Ended">How the run ended; null while it did not.</param>
/// <param name="Coordinator">The node that leads, or led.</param>
/// <param name="Epoch">Attempt of the run.</param>
/// <param name="Iteration">Last finished iteration.</param>
/// <param name="Missing">What the run waits for; empty while it goes on.</param>
/// <param name="Nodes">Each node.</param>
internal sealed record ClusterPage(
    string Folder, bool IsLed, DateTimeOffset Since, string? Ended, string Coordinator, long Epoch, long Iteration, string Missing, IReadOnlyList<NodeStatus> Nodes)
{
    /// <summary>Reads the folder, for some seconds when nobody writes there.</summary>
    /// <exception cref="UserErrorException">No coordinator ever led a run there.</exception>
    public static async Task<ClusterPage> OfAsync(RunFolder run, CancellationToken cancel)
    {
        var (status, isLed) = await new GoingRun(run).StatusAsync(cancel).ConfigureAwait(false);
        if (status is null)
            throw new UserErrorException(
                $"No coordinator has led a run in {run.Path} yet. Start a node with role coordinator: colossalchat node FILE --roles coordinator. If one runs, it waits for its seed nodes, or its run folder is another.",
                ExitCode.NotFound);
        var ended = isLed ? null : new CoordinatorTerm(run.Path, "").EndedSince("");
        return new ClusterPage(run.Path, isLed, status.Time, ended?.Message, status.Coordinator, status.Epoch, status.Iteration, status.Missing, status.Nodes);
    }

    /// <summary>The page as text.</summary>
    public IEnumerable<string> Lines()
    {
        yield return $"run in {Folder}, attempt {Number(Epoch)}, last iteration {Number(Iteration)}";
        var ago = Seconds(DateTimeOffset.UtcNow - Since);
        if (IsLed)
            yield return $"led by {Coordinator}, as of {ago} ago";
        else if (Ended is not null)
            yield return $"it has ended: {Ended} What follows is as of {Since.UtcDateTime:u}, {ago} ago.";
        else
            yield return $"nobody leads since {Since.UtcDateTime:u}, {ago} ago; {Coordinator} did. What follows is as it was then.";
        if (Missing.Length > 0)
            yield return $"waiting: {Missing}";
        var rows = Nodes.Select(Row).Prepend(["node", "host", "state", "heard", "clock", "version", "roles", "hosts (calls waiting)"]).ToArray();
        var widths = Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length)).ToArray();
        foreach (var row in rows)
            yield return string.Join("  ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd();
    }

    private string[] Row(NodeStatus node) =>
    [
        node.Name,
        node.Host,
        (node.IsReachable, node.IsLeaving) switch { (false, _) => "SILENT", (_, true) => "leaving", _ => "up" },
        node.LastHeard == default ? "never" : $"{Seconds(Since - node.LastHeard)} before",
        node.ClockAhead.ToString("+0.0;-0.0;0.0", CultureInfo.InvariantCulture) + " s",
        node.Version,
        string.Join(",", node.Roles),
        node.Queues.Count == 0 ? "-" : string.Join(' ', node.Queues.OrderBy(queue => queue.Key, StringComparer.Ordinal).Select(queue => $"{queue.Key} ({queue.Value.ToString("0", CultureInfo.InvariantCulture)})")),
    ];

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Seconds(TimeSpan span) => $"{Math.Max(0, span.TotalSeconds).ToString("0.0", CultureInfo.InvariantCulture)} s";
}
