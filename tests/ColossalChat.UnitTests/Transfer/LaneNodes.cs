using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>Lanes of several nodes in this process, each on a machine of its own unless told otherwise, in a folder of their own.</summary>
internal sealed class LaneNodes : IDisposable
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private readonly List<NetworkBlobLane> _lanes = [];

    public string Folder { get; } = Directory.CreateTempSubdirectory("colossalchat-lane-test-").FullName;

    public LogLines Log { get; } = new();

    /// <summary>For all lanes that are made from now on.</summary>
    public LaneSettings Settings { get; set; } = new() { ChainFrom = 0, Reserve = 0, Silence = TimeSpan.FromSeconds(2), Greeting = TimeSpan.FromSeconds(2) };

    public NetworkBlobLane Lane(string machine, Func<LaneSettings, LaneSettings>? change = null)
    {
        var settings = Settings with { MachineId = machine, MemoryFolder = Folder, SpillFolder = Folder };
        var lane = new NetworkBlobLane(change?.Invoke(settings) ?? settings, Log);
        _lanes.Add(lane);
        return lane;
    }

    /// <summary>Bytes that depend on the place, and a little more than some chunks.</summary>
    public static byte[] Bytes(int length, byte salt = 0)
    {
        var bytes = new byte[length];
        for (var i = 0; i < length; i++)
            bytes[i] = (byte)((i * 31) + (i >> 11) + salt);
        return bytes;
    }

    public static byte[] Fetch(NetworkBlobLane lane, BlobReference blob)
    {
        var bytes = new byte[blob.Bytes];
        lane.Fetch(blob, bytes, CancellationToken.None);
        return bytes;
    }

    /// <summary>All at once, each on a thread of its own.</summary>
    public static async Task<byte[][]> FetchAll(IEnumerable<NetworkBlobLane> lanes, BlobReference blob)
    {
        var results = lanes.Select(lane =>
        {
            var bytes = Array.Empty<byte>();
            return (Done: DeviceLeasesTests.OnThread(() => bytes = Fetch(lane, blob)), Bytes: (Func<byte[]>)(() => bytes));
        }).ToArray();
        await Task.WhenAll(results.Select(result => result.Done)).WaitAsync(Limit);
        return [.. results.Select(result => result.Bytes())];
    }

    /// <summary>Files of blocks that are anywhere in the folder.</summary>
    public string[] Blocks() => [.. Directory.EnumerateFiles(Folder, "*", SearchOption.AllDirectories).Where(path => Path.GetFileName(path) == "block" || path.EndsWith(".blob", StringComparison.Ordinal))];

    public void Dispose()
    {
        foreach (var lane in _lanes)
            lane.Dispose();
        Directory.Delete(Folder, recursive: true);
    }
}

/// <summary>Keeps what a lane says, and lets a test wait for a line.</summary>
internal sealed class LogLines : INodeLog
{
    private readonly object _gate = new();
    private readonly List<string> _lines = [];

    public string[] Lines
    {
        get
        {
            lock (_gate)
                return [.. _lines];
        }
    }

    public void Debug(string message) => Add("debug " + message);

    public void Info(string message) => Add("info " + message);

    public void Warning(string message) => Add("warning " + message);

    public void Error(string message) => Add("error " + message);

    public void Await(string part)
    {
        lock (_gate)
        {
            while (!_lines.Exists(line => line.Contains(part, StringComparison.Ordinal)))
                Assert.True(Monitor.Wait(_gate, LaneNodes.Limit), $"nothing about '{part}' in: {string.Join('\n', _lines)}");
        }
    }

    private void Add(string line)
    {
        lock (_gate)
        {
            _lines.Add(line);
            Monitor.PulseAll(_gate);
        }
    }
}
