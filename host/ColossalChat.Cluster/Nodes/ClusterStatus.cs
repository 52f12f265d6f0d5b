using System.Text.Json;

namespace ColossalChat.Cluster;

/// <summary>How a run on several nodes is doing, as its coordinator sees it.</summary>
/// <param name="Time">When it was written, UTC; older than some seconds means that nobody leads.</param>
/// <param name="Coordinator">The node that leads.</param>
/// <param name="Epoch">Attempt of the run.</param>
/// <param name="Iteration">Last finished iteration.</param>
/// <param name="Missing">What the run waits for; empty while it goes on.</param>
/// <param name="Nodes">All nodes by name.</param>
public sealed record ClusterStatus(DateTimeOffset Time, string Coordinator, long Epoch, long Iteration, string Missing, IReadOnlyList<NodeStatus> Nodes);

/// <summary>One node.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Host">Where it is.</param>
/// <param name="Roles">What it may host.</param>
/// <param name="Version">Of the program.</param>
/// <param name="IsReachable">Heartbeats come from it.</param>
/// <param name="IsLeaving">It was asked to go.</param>
/// <param name="LastHeard">When it last answered, UTC.</param>
/// <param name="ClockAhead">Seconds by which its clock was ahead of the coordinator's then; negative when it was behind.</param>
/// <param name="Queues">What it hosts, with the calls that wait.</param>
public sealed record NodeStatus(
    string Name, string Host, IReadOnlyList<string> Roles, string Version, bool IsReachable, bool IsLeaving, DateTimeOffset LastHeard, double ClockAhead, IReadOnlyDictionary<string, double> Queues);

/// <summary>
/// The status in the run folder, which the coordinator writes every second: whoever sees the folder sees the cluster, without
/// a network or certificates.
/// </summary>
/// <param name="runFolder">Folder of the run.</param>
public sealed class ClusterStatusFile(string runFolder)
{
    private static readonly JsonSerializerOptions s_format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private string File => Path.Combine(runFolder, "status.json");

    /// <summary>The newest; null when there is none, or it cannot be read.</summary>
    public ClusterStatus? Read()
    {
        try
        {
            return JsonSerializer.Deserialize<ClusterStatus>(System.IO.File.ReadAllBytes(File), s_format);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes it; a disk that is full costs a look, not the run.</summary>
    internal void Write(ClusterStatus status)
    {
        try
        {
            var draft = $"{File}.{status.Coordinator}";
            System.IO.File.WriteAllBytes(draft, JsonSerializer.SerializeToUtf8Bytes(status, s_format));
            System.IO.File.Move(draft, File, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The next second writes again.
            return;
        }
    }
}
