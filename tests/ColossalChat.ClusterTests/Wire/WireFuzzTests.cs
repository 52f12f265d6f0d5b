using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Configuration;
using ColossalChat.Contracts;
using CsCheck;
using Xunit;
using Xunit.Abstractions;

namespace ColossalChat.Cluster.Tests;

/// <summary>Frames that nobody wrote: each is a message or is refused, and none takes memory out of proportion to its length.</summary>
public sealed class WireFuzzTests(ITestOutputHelper output) : IAsyncLifetime
{
    // What reading may take: objects of a few fields for entries of a few bytes, and a refusal with its message.
    private const int BytesForEachByte = 64;
    private const int BytesForAFrame = 64 * 1024;

    // Remoting, because actors of other nodes are found otherwise than one's own.
    private readonly ExtendedActorSystem _system = (ExtendedActorSystem)ActorSystem.Create("wire", ConfigurationFactory.ParseString(
        "akka { loglevel = OFF, stdout-loglevel = OFF, actor.provider = remote, remote.dot-netty.tcp { hostname = 127.0.0.1, port = 0 } }"));

    private double _largestShare;

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => _system.Terminate();

    [Fact]
    [Trait("Category", "CI")]
    public void Twenty_thousand_frames_are_read_or_refused() => ReadMutated(20_000, stream: 4711);

    [Fact]
    [Trait("Category", "Full")]
    public void A_million_frames_are_read_or_refused() => ReadMutated(1_000_000, stream: 4712);

    [Fact]
    [Trait("Category", "CI")]
    public void The_costliest_messages_take_memory_in_proportion()
    {
        var serializer = new FlowSerializer(_system);
        foreach (var (name, message) in Costly())
        {
            var packed = serializer.Pack(message);
            Assert.True(packed.Bytes.Length is > WireLimits.MessageBytes / 4 and <= WireLimits.MessageBytes, $"{name}: {packed.Bytes.Length} bytes");
            _largestShare = 0;
            var isRead = IsRead(serializer, packed.Manifest, packed.Bytes);
            output.WriteLine($"{name}: {_largestShare:F1} bytes for each of {packed.Bytes.Length}");
            Assert.True(isRead, name);
        }
    }

    private IEnumerable<(string Name, IWireMessage Message)> Costly()
    {
        var nothing = new Experience(Ragged.FromRows<int>(Array.Empty<int[]>()), Ragged.FromRows<bool>(Array.Empty<bool[]>()), new Dictionary<string, Ragged<float>>());
        yield return ("experience without rows", new EvaluateHeldOut(1, [.. Enumerable.Repeat(nothing, 80_000)]));
        yield return ("columns without rows", new EvaluateHeldOut(1,
        [
            nothing with { Columns = Enumerable.Range(0, 30_000).ToDictionary(i => $"{i}", _ => Ragged.FromRows<float>(Array.Empty<float[]>())) },
        ]));
        yield return ("flags", new EvaluateHeldOut(1, [nothing with { IsTarget = Ragged.FromRows([new bool[2_000_000]]) }]));
        yield return ("rows without values", new EvaluateHeldOut(1, [nothing with { Tokens = Ragged.FromRows(Enumerable.Repeat(Array.Empty<int>(), 250_000)) }]));
        yield return ("metrics", new HeldOutEvaluated(1, new TrainerId("m", 0), Enumerable.Range(0, 17_000).ToDictionary(i => $"{i}", i => (double)i)));
        yield return ("sample rows", new WindowMeasured(1, default, new Dictionary<string, double>(), [.. Enumerable.Repeat(new SampleRow("", "", null, 0, 0, FinishReason.Stop), 19_000)]));
        yield return ("remarks", new RoleOpened(1, "r", new RoleFacts { Remarks = [.. Enumerable.Repeat("r", 120_000)] }));
        foreach (var (name, conversations) in new (string, IReadOnlyList<IReadOnlyList<ChatMessage>>)[]
        {
            ("conversations without turns", [.. Enumerable.Repeat(Array.Empty<ChatMessage>(), 250_000)]),
            ("conversations of one turn", [.. Enumerable.Repeat<ChatMessage[]>([new ChatMessage(ChatRole.User, "")], 60_000)]),
            ("turns", [[.. Enumerable.Repeat(new ChatMessage(ChatRole.User, "") { Input = "" }, 60_000)]]),
        })
            yield return (name, new GenerateRollout(default, Window([]), new PromptBatch(default, Ragged.FromRows<int>(Array.Empty<int[]>()), [], [], [], "") { Conversations = conversations }));
        yield return ("one actor often", new PublishWeights(1, 1, 1, [.. Enumerable.Repeat(Far("a"), 250_000)]));
        yield return ("many actors", new PublishWeights(1, 1, 1, [.. Enumerable.Range(0, 4000).Select(i => Far($"{i}"))]));
        yield return ("deep actors", new PublishWeights(1, 1, 1, [.. Enumerable.Range(0, 2500).Select(i => Far($"{i}" + string.Concat(Enumerable.Repeat("/a", 29))))]));
        yield return ("one's own deep actors", new PublishWeights(1, 1, 1, [.. Enumerable.Range(0, 2500).Select(i => Near($"{i}" + string.Concat(Enumerable.Repeat("/a", 29))))]));
        yield return ("trainers", new StartBatch(1, Window(Enumerable.Range(0, 65_000)).Route.Training));
    }

    private IActorRef Far(string path) => _system.Provider.ResolveActorRef($"akka.tcp://wire@1:1/{path}");

    private IActorRef Near(string path) => _system.Provider.ResolveActorRef($"{_system.Provider.DefaultAddress}/{path}");

    private Window Window(IEnumerable<int> ranks) => new(1, BatchPurpose.Train, 1, new Route(
        Far("a"), [], Far("a"), new TrainingRoute(ranks.ToDictionary(rank => new TrainerId("", rank), _ => Far("a")), 1, 1)));

    private void ReadMutated(int frames, uint stream)
    {
        var serializer = new FlowSerializer(_system);
        var samples = new WireSamples([.. Enumerable.Range(0, 3).Select(i => _system.ActorOf(Props.Empty, $"actor-{i}")), Far("user/far/away")]);
        var (pcg, read, bytes) = (new PCG(stream, 1), 0, 0L);
        var originals = FlowMessageTests.MessageTypes
            .SelectMany(type => Enumerable.Range(0, 40).Select(i => serializer.Pack(
                (IWireMessage)samples.Of(type, most: i < 20 ? 3 : 12).Generate(pcg, null, out _))))
            .ToArray();
        foreach (var original in originals)
            Assert.True(IsRead(serializer, original.Manifest, original.Bytes), "A whole frame is refused.");
        for (var i = 0; i < frames; i++)
        {
            var (manifest, frame) = (Pick(pcg, originals).Manifest, Mutated(pcg, originals));
            if (pcg.Next(20) > 0)
                manifest = frame.Manifest;
            bytes += frame.Bytes.Length;
            read += IsRead(serializer, manifest, frame.Bytes) ? 1 : 0;
        }

        output.WriteLine($"{frames} frames of {bytes / frames} bytes on average: {read} read, {frames - read} refused; at most {_largestShare:F1} bytes for each byte above {BytesForAFrame}.");

        // Both ways are gone often enough to say something about both.
        Assert.InRange(read, frames / 20, frames - frames / 4);
    }

    // Refusals of any other kind fail the test by themselves.
    private bool IsRead(FlowSerializer serializer, string manifest, byte[] frame)
    {
        IWireMessage? message = null;
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            message = serializer.Unpack(manifest, frame);
        }
        catch (SerializationException refusal)
        {
            Assert.NotEmpty(refusal.Message);
        }

        var taken = GC.GetAllocatedBytesForCurrentThread() - before;
        _largestShare = Math.Max(_largestShare, (double)(taken - BytesForAFrame) / Math.Max(frame.Length, 1));
        Assert.True(
            taken <= BytesForAFrame + (long)BytesForEachByte * frame.Length,
            $"'{manifest}' of {frame.Length} bytes took {taken} bytes: {Convert.ToHexString(frame.AsSpan(0, Math.Min(frame.Length, 2000)))}");

        // What is read can be written, so that no frame goes one way only; but for the words of actors' paths to the same bytes.
        if (message is not null)
            Assert.True(serializer.Pack(message).Bytes.Length > 0);
        return message is not null;
    }

    private static PackedMessage Pick(PCG pcg, PackedMessage[] all) => all[pcg.Next((uint)all.Length)];

    private static PackedMessage Mutated(PCG pcg, PackedMessage[] originals)
    {
        var original = Pick(pcg, originals);
        var bytes = original.Bytes.ToList();
        for (var left = 1 + pcg.Next(3); left > 0; left--)
            Mutate(pcg, bytes, originals);
        return original with { Bytes = [.. bytes] };
    }

    private static void Mutate(PCG pcg, List<byte> bytes, PackedMessage[] originals)
    {
        var at = (int)pcg.Next((uint)bytes.Count + 1);
        var length = (int)pcg.Next((uint)Math.Min(bytes.Count - at, 16) + 1);
        switch (pcg.Next(9))
        {
            case 0 when at < bytes.Count:
                bytes[at] ^= (byte)(1 << (int)pcg.Next(8));
                break;
            case 1 when at < bytes.Count:
                bytes[at] = (byte)pcg.Next(256);
                break;
            case 2:
                bytes.RemoveRange(at, bytes.Count - at);
                break;
            case 3:
                bytes.RemoveRange(at, length);
                break;
            case 4:
                bytes.InsertRange(at, bytes.GetRange(at, length));
                break;
            case 5:
                // A length that claims up to all that 64 bits can say.
                bytes.RemoveRange(at, Math.Min(1, bytes.Count - at));
                bytes.InsertRange(at, [.. Enumerable.Repeat((byte)0xFF, (int)pcg.Next(10)), (byte)pcg.Next(128)]);
                break;
            case 6:
                bytes.AddRange(Enumerable.Range(0, 1 + length).Select(_ => (byte)pcg.Next(256)));
                break;
            case 7:
                var other = Pick(pcg, originals).Bytes;
                bytes.RemoveRange(at, bytes.Count - at);
                bytes.AddRange(other.Skip((int)pcg.Next((uint)other.Length)));
                break;
            default:
                if (pcg.Next(4) > 0)
                    break;
                bytes.Clear();
                bytes.AddRange(Enumerable.Range(0, (int)pcg.Next(600)).Select(i => i == 0 ? WireWriter.HeadByte : (byte)pcg.Next(256)));
                break;
        }
    }
}
