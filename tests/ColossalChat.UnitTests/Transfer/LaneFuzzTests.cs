using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using ColossalChat.Contracts;
using ColossalChat.Tests;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>Strangers at the port, and publishers that talk nonsense.</summary>
public sealed class LaneFuzzTests : IDisposable
{
    private const int Connections = 8;
    private const long MostGrowth = 64L << 20;
    private readonly LaneNodes _nodes = new();

    public LaneFuzzTests() => _nodes.Settings = _nodes.Settings with { Connections = Connections, Greeting = TimeSpan.FromMilliseconds(300), Silence = TimeSpan.FromSeconds(1) };

    public void Dispose() => _nodes.Dispose();

    [Fact]
    [Trait("Category", "CI")]
    public void Random_bytes_get_no_answer() => RandomBytes(400, encrypted: false);

    [Fact]
    [Trait("Category", "Full")]
    public void Many_random_bytes_get_no_answer() => RandomBytes(50_000, encrypted: false);

    [Fact]
    [Trait("Category", "CI")]
    public void Random_bytes_get_no_content_where_TLS_is_asked_for() => RandomBytes(100, encrypted: true);

    [Fact]
    [Trait("Category", "Full")]
    public void Many_random_bytes_get_no_content_where_TLS_is_asked_for() => RandomBytes(5_000, encrypted: true);

    [Fact]
    [Trait("Category", "CI")]
    public void A_publisher_that_talks_nonsense_ends_a_fetch_and_nothing_else() => Nonsense(60);

    [Fact]
    [Trait("Category", "Full")]
    public void Publishers_that_talk_much_nonsense_end_fetches_and_nothing_else() => Nonsense(3_000);

    [Fact]
    [Trait("Category", "CI")]
    public void Slow_and_silent_strangers_hold_no_connection_that_others_need()
    {
        var (publisher, reader) = (_nodes.Lane("publisher"), _nodes.Lane("reader"));
        var blob = publisher.Publish("weights", LaneNodes.Bytes(2 * BlobFile.ChunkLength));
        var silent = Enumerable.Range(0, 5 * Connections).Select(_ => Connect(publisher.Port)).ToArray();
        using var drip = Connect(publisher.Port);
        drip.Send([(byte)FrameKind.Hello]);

        // All places are taken, and the reader gets in at once, because those who said nothing longest make room.
        Assert.Equal(LaneNodes.Bytes(2 * BlobFile.ChunkLength), LaneNodes.Fetch(reader, blob));

        // A byte now and then keeps nothing open.
        drip.ReceiveTimeout = (int)LaneNodes.Limit.TotalMilliseconds;
        Assert.True(SpinWait.SpinUntil(() => IsClosedFor(() => drip.Send([0])), LaneNodes.Limit));
        foreach (var socket in silent)
        {
            Assert.Equal(0, ReadToEnd(socket));
            socket.Dispose();
        }

        Assert.InRange(publisher.Counters.Refused, silent.Length, silent.Length + 1);
    }

    [Fact]
    [Trait("Category", "CI")]
    public void A_reader_with_the_token_that_asks_for_what_there_is_not_is_dropped()
    {
        var publisher = _nodes.Lane("publisher");
        var blob = publisher.Publish("weights", LaneNodes.Bytes(3 * BlobFile.ChunkLength));
        foreach (var (first, count) in ((int, int)[])[(-1, 1), (0, 0), (0, 4), (3, 1), (int.MaxValue, int.MaxValue), (1, int.MaxValue), (int.MinValue, 1), (0, -1)])
        {
            using var socket = Connect(publisher.Port);
            Send(socket, FrameKind.Hello, HelloFor(blob).ToBytes());
            var want = new byte[8];
            BinaryPrimitives.WriteInt32LittleEndian(want, first);
            BinaryPrimitives.WriteInt32LittleEndian(want.AsSpan(4), count);
            Send(socket, FrameKind.Want, want);
            Assert.InRange(ReadToEnd(socket), 5, 40);
        }

        Assert.Equal(0, publisher.Counters.Sent);
        Assert.Equal(LaneNodes.Bytes(3 * BlobFile.ChunkLength), LaneNodes.Fetch(_nodes.Lane("reader"), blob));
    }

    [Fact]
    [Trait("Category", "CI")]
    public void A_reader_that_takes_nothing_is_dropped_and_gives_its_turn_to_others()
    {
        var publisher = _nodes.Lane("publisher", settings => settings with { Transfers = 1 });
        var content = LaneNodes.Bytes(16 * BlobFile.ChunkLength);
        var blob = publisher.Publish("weights", content);
        using var stuck = Connect(publisher.Port, receiveBuffer: 1 << 12);
        Send(stuck, FrameKind.Hello, HelloFor(blob, port: 0).ToBytes());
        Send(stuck, FrameKind.Want, [0, 0, 0, 0, 16, 0, 0, 0]);
        Assert.True(SpinWait.SpinUntil(() => stuck.Available > 5, LaneNodes.Limit));

        Assert.Equal(content, LaneNodes.Fetch(_nodes.Lane("reader"), blob));
    }

    [Fact]
    [Trait("Category", "CI")]
    public void A_reader_that_says_nothing_when_others_are_sent_to_it_is_passed_over()
    {
        var publisher = _nodes.Lane("publisher");
        var content = LaneNodes.Bytes(3 * BlobFile.ChunkLength);
        var blob = publisher.Publish("weights", content);
        using var silent = Listening();
        using var paused = Connect(publisher.Port);
        Send(paused, FrameKind.Hello, HelloFor(blob, PortOf(silent)).ToBytes());
        paused.ReceiveTimeout = (int)LaneNodes.Limit.TotalMilliseconds;
        Assert.Equal(5, paused.Receive(new byte[5]));

        Assert.Equal(content, LaneNodes.Fetch(_nodes.Lane("reader"), blob));
        Assert.True(silent.Poll(0, SelectMode.SelectRead), "The reader was not sent there.");
    }

    [Theory]
    [Trait("Category", "CI")]
    [InlineData(false)]
    [InlineData(true)]
    public void A_publisher_that_names_dead_readers_is_given_up_in_time_and_not_asked_without_a_pause(bool staysAlive)
    {
        using var publisher = Listening();
        using var parent = Listening();
        var redirect = Framed(FrameKind.Redirect, new LaneParent(Guid.NewGuid(), "127.0.0.1", PortOf(parent)).ToBytes());
        var asked = 0;
        var speaking = new Thread(() =>
        {
            while (Misdirects(publisher, parent, redirect, staysAlive, ref asked))
                asked++;
        }) { IsBackground = true };
        speaking.Start();
        var lane = _nodes.Lane("reader", settings => settings with { Silence = TimeSpan.FromSeconds(1), Deadline = TimeSpan.FromSeconds(20) });
        var location = new LaneLocation("evil", "127.0.0.1", PortOf(publisher), Guid.NewGuid(), LaneLocation.NewToken(), "/etc/hostname");

        var error = Assert.ThrowsAny<IOException>(() => LaneNodes.Fetch(lane, new BlobReference("weights", 100, new string('0', 32)) { Location = location.ToText() }));

        publisher.Dispose();
        parent.Dispose();
        Assert.True(speaking.Join(LaneNodes.Limit));
        Assert.Contains("cannot be fetched", error.Message, StringComparison.Ordinal);
        Assert.InRange(_nodes.Log.Lines.Count(line => line.Contains("failed", StringComparison.Ordinal)), 1, asked + 100);
    }

    // Its next answer has begun when the reader that it names dies: it dies with that unread, or goes on like this. False once
    // the test is over.
    private static bool Misdirects(Socket publisher, Socket parent, byte[] redirect, bool staysAlive, ref int asked)
    {
        try
        {
            using var reader = publisher.Accept();
            reader.LingerState = new LingerOption(enable: true, 0);
            reader.Send([.. redirect, redirect[0]]);
            do
            {
                using var dead = parent.Accept();
                asked++;
                if (!staysAlive)
                    reader.Close();
            }
            while (staysAlive && !IsClosedFor(() => reader.Send([.. redirect[1..], redirect[0]])));
            return true;
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            return !publisher.SafeHandle.IsClosed;
        }
    }

    private static int PortOf(Socket listener) => ((IPEndPoint)listener.LocalEndPoint!).Port;

    private static byte[] Framed(FrameKind kind, byte[] content)
    {
        var frame = new byte[5 + content.Length];
        frame[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(1), content.Length);
        content.CopyTo(frame, 5);
        return frame;
    }

    private static Socket Listening()
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(8);
        return listener;
    }

    private void RandomBytes(int count, bool encrypted)
    {
        using var files = new TlsFiles();
        NetworkBlobLane Lane(string name) => _nodes.Lane(name, settings => settings with { Tls = encrypted ? files.Node(name) : null });
        var publisher = Lane("publisher");
        var content = LaneNodes.Bytes(100_000);
        var blob = publisher.Publish("weights", content);
        var random = new Random(11);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var round = 0; round < count; round++)
        {
            using var socket = Connect(publisher.Port);
            var bytes = Stranger(random, blob);
            if (!IsClosedFor(() => socket.Send(bytes)))
                IsClosedFor(() => socket.Shutdown(SocketShutdown.Send));
            var answer = ReadToEnd(socket);
            // TLS says in an alert what it does not like; a lane says nothing.
            Assert.InRange(answer, 0, encrypted ? 100 : 0);
        }

        Assert.Equal(0, publisher.Counters.Sent);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, MostGrowth);
        Assert.Equal(content, LaneNodes.Fetch(Lane("reader"), blob));
    }

    // Noise; a greeting with something changed; frames of any kind and length, oversize ones among them.
    private static byte[] Stranger(Random random, BlobReference blob)
    {
        var noise = new byte[random.Next(1, 300)];
        random.NextBytes(noise);
        if (random.Next(3) == 0)
            return noise;
        var hello = HelloFor(blob).ToBytes();
        // Anywhere in magic, version, id or token: one wrong bit is enough.
        hello[random.Next(55) is 6 ? 5 : random.Next(7, 55)] ^= (byte)(1 << random.Next(8));
        var frame = new byte[5 + hello.Length];
        frame[0] = (byte)FrameKind.Hello;
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(1), hello.Length);
        hello.CopyTo(frame, 5);
        if (random.Next(2) == 0)
        {
            frame[0] = (byte)random.Next(256);
            BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(1), random.Next(2) == 0 ? int.MaxValue - random.Next(100) : random.Next(int.MinValue, int.MaxValue));
        }

        return [.. frame[..random.Next(1, frame.Length + 1)], .. noise];
    }

    private void Nonsense(int rounds)
    {
        using var listener = Listening();
        var random = new Random(13);
        var speaking = new Thread(() => Speak(listener, random)) { IsBackground = true };
        speaking.Start();
        var reader = _nodes.Lane("reader", settings => settings with { Silence = TimeSpan.FromMilliseconds(100) });
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var port = PortOf(listener);
        for (var round = 0; round < rounds; round++)
        {
            var location = new LaneLocation("evil", "127.0.0.1", port, Guid.NewGuid(), LaneLocation.NewToken(), "/etc/hostname");
            var blob = new BlobReference("weights", 100, new string('0', 32)) { Location = location.ToText() };
            Assert.ThrowsAny<IOException>(() => LaneNodes.Fetch(reader, blob));
        }

        listener.Dispose();
        Assert.True(speaking.Join(LaneNodes.Limit));
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, MostGrowth);
        Assert.Empty(_nodes.Blocks());
    }

    // What a publisher could say, in any order, with any length.
    private static void Speak(Socket listener, Random random)
    {
        while (true)
        {
            try
            {
                using var socket = listener.Accept();
                for (var frame = random.Next(4); frame >= 0; frame--)
                {
                    var content = new byte[random.Next(200)];
                    random.NextBytes(content);
                    var head = new byte[5];
                    head[0] = random.Next(4) == 0 ? (byte)random.Next(256) : (byte)random.Next(16, 21);
                    BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(1), random.Next(4) switch { 0 => int.MaxValue, 1 => -random.Next(), 2 => 0, _ => content.Length });
                    socket.Send([.. head, .. content]);
                }
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                if (!listener.IsBound || listener.SafeHandle.IsClosed)
                    return;
            }
        }
    }

    private static LaneHello HelloFor(BlobReference blob, int port = 1)
    {
        var location = LaneLocation.Parse(blob.Location)!;
        return new LaneHello(ReaderPurpose.Join, location.Block, location.Token, Guid.NewGuid(), "", port);
    }

    private static Socket Connect(int port, int receiveBuffer = 1 << 16)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = receiveBuffer };
        socket.Connect(IPAddress.Loopback, port);
        return socket;
    }

    private static void Send(Socket socket, FrameKind kind, byte[] content) => socket.Send(Framed(kind, content));

    private static int ReadToEnd(Socket socket)
    {
        socket.ReceiveTimeout = (int)LaneNodes.Limit.TotalMilliseconds;
        var (all, buffer) = (0, new byte[1 << 16]);
        while (true)
        {
            var count = 0;
            if (IsClosedFor(() => count = socket.Receive(buffer)) || count == 0)
                return all;
            all += count;
        }
    }

    private static bool IsClosedFor(Action action)
    {
        try
        {
            action();
            return false;
        }
        catch (SocketException error)
        {
            Assert.NotEqual(SocketError.TimedOut, error.SocketErrorCode);
            return true;
        }
    }
}
