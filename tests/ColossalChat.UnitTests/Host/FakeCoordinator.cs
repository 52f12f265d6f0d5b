using System.Text.Json;
using ColossalChat.Cluster;

namespace ColossalChat.UnitTests.Host;

/// <summary>Leads a run as far as its folder shows it: writes its status all the time, and answers what is asked.</summary>
internal sealed class FakeCoordinator : IDisposable
{
    private static readonly JsonSerializerOptions s_format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _thread;

    /// <param name="runFolder">Folder of the run.</param>
    /// <param name="status">What it says, but for the time.</param>
    /// <param name="answer">What it answers; null for nothing.</param>
    public FakeCoordinator(string runFolder, ClusterStatus status, Func<ControlRequest, ControlAnswer?>? answer = null)
    {
        Write(runFolder, status with { Time = DateTimeOffset.UtcNow });
        _thread = new Thread(() =>
        {
            while (!_stop.Wait(TimeSpan.FromMilliseconds(20)))
            {
                Write(runFolder, status with { Time = DateTimeOffset.UtcNow });
                foreach (var (id, request) in RunControl.Pending(runFolder))
                    if (answer?.Invoke(request!) is { } said)
                        RunControl.Answer(runFolder, id, said);
            }
        })
        { IsBackground = true };
        _thread.Start();
    }

    public static ClusterStatus StatusOf(params NodeStatus[] nodes) => new(default, nodes.FirstOrDefault()?.Name ?? "c", 3, 12, "", nodes);

    public static NodeStatus Node(string name, params string[] roles) =>
        new(name, "127.0.0.1", roles, "1.2.3", true, false, DateTimeOffset.UtcNow, 0.25, new Dictionary<string, double> { ["rollout"] = 2 });

    public static void Write(string runFolder, ClusterStatus status)
    {
        Directory.CreateDirectory(runFolder);
        var draft = Path.Combine(runFolder, "status.json.new");
        File.WriteAllBytes(draft, JsonSerializer.SerializeToUtf8Bytes(status, s_format));
        File.Move(draft, Path.Combine(runFolder, "status.json"), overwrite: true);
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _stop.Dispose();
    }
}
