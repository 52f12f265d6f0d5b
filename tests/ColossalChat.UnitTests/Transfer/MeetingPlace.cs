using System.Net;
using System.Net.Sockets;
using ColossalChat.Contracts;
using ColossalChat.Tests;
using ColossalChat.Transfer;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>Each way in which ranks can meet, with what it leaves behind.</summary>
public sealed class MeetingPlace : IDisposable
{
    public static readonly string[] Kinds = ["in-process", "directory", "socket", "tls"];

    private static readonly Lazy<TlsIdentity> Identity = new(() =>
    {
        using var files = new TlsFiles();
        return files.Node("rank").Load();
    });

    private readonly PeerLinks _links;
    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"meet-{Guid.NewGuid():N}");

    public MeetingPlace(string kind)
    {
        _links = kind switch
        {
            "in-process" => new InProcessPeerLinks(),
            "directory" => new DirectoryPeerLinks(_directory),
            "tls" => new SocketPeerLinks("127.0.0.1", FreePort(), "token", Identity.Value),
            _ => new SocketPeerLinks("127.0.0.1", FreePort(), "token"),
        };
    }

    public PeerLinks Links => _links;

    /// <summary>Where a directory's ranks meet.</summary>
    public string Folder => _directory;

    /// <summary>Files left by ranks that met in the directory.</summary>
    public string[] LeftBehind => Directory.Exists(_directory) ? Directory.GetFileSystemEntries(_directory, "*", SearchOption.AllDirectories) : [];

    /// <summary>Shared memory that has a name now.</summary>
    public static string[] Segments() => Directory.Exists("/dev/shm") ? Directory.GetFiles("/dev/shm", "colossalchat-*") : [];

    /// <summary>
    /// True when no name in shared memory has stayed that was not there before. Other tests and processes make some too, which
    /// go by themselves.
    /// </summary>
    public static bool NothingStays(IEnumerable<string> before)
    {
        var made = Segments().Except(before).ToArray();
        return SpinWait.SpinUntil(() => !made.Any(File.Exists), TimeSpan.FromSeconds(10));
    }

    public static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    /// <summary>Runs every rank on a thread of its own; all errors come out.</summary>
    public static async Task EachRank(int ranks, Action<int> body, TimeSpan limit)
    {
        var all = Task.WhenAll(Enumerable.Range(0, ranks).Select(rank => DeviceLeasesTests.OnThread(() => body(rank))));
        try
        {
            await all.WaitAsync(limit);
        }
        catch when (all.Exception is { InnerExceptions.Count: > 1 } several)
        {
            throw several;
        }
    }

    /// <summary>Runs every rank in a group; leaves it at the end.</summary>
    public Task EachRank(int ranks, Action<IPeerGroup> body, TimeSpan limit, string group = "trainers") => EachRank(ranks, rank =>
    {
        using var joined = _links.Join(new RankPlace(group, rank, ranks), limit);
        body(joined);
    }, limit);

    public void Dispose()
    {
        if (Directory.Exists(_directory))
            Directory.Delete(_directory, recursive: true);
    }
}
