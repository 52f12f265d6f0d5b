using System.Runtime.Serialization;
using System.Text;
using Akka.Actor;
using ColossalChat.Contracts;
using CsCheck;
using Xunit;

namespace ColossalChat.Cluster.Tests;

[Trait("Category", "CI")]
public sealed class FlowMessageTests : IAsyncLifetime
{
    private readonly ExtendedActorSystem _system = (ExtendedActorSystem)ActorSystem.Create("wire", "akka { loglevel = OFF, stdout-loglevel = OFF }");
    private readonly FlowSerializer _serializer;
    private readonly WireSamples _samples;

    public FlowMessageTests()
    {
        _serializer = new FlowSerializer(_system);
        _samples = new WireSamples([.. Enumerable.Range(0, 5).Select(i => _system.ActorOf(Props.Empty, $"actor-{i}")), ActorRefs.Nobody]);
    }

    public static TheoryData<Type> Messages => [.. MessageTypes];

    internal static Type[] MessageTypes { get; } = [.. typeof(IWireMessage).Assembly.GetTypes()
        .Where(type => type.IsClass && typeof(IWireMessage).IsAssignableFrom(type))
        .OrderBy(type => type.Name, StringComparer.Ordinal)];

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => _system.Terminate();

    [Theory]
    [MemberData(nameof(Messages))]
    public void Every_message_comes_back_whole(Type type)
    {
        Assert.True(FlowMessages.ByType.ContainsKey(type), $"{type.Name} has no entry in {nameof(FlowMessages)}.");
        _samples.Of(type).Sample(
            message =>
            {
                var packed = _serializer.Pack((IWireMessage)message);
                var back = _serializer.Unpack(packed.Manifest, packed.Bytes);
                Assert.IsType(type, back);
                Assert.Equal(Described.Text(message), Described.Text(back));

                // Equal messages have equal bytes.
                Assert.Equal(packed.Bytes, _serializer.Pack(back).Bytes);
            },
            iter: 200);
    }

    [Fact]
    public void Every_entry_has_its_message_and_a_short_manifest()
    {
        Assert.Equal(MessageTypes, FlowMessages.ByType.Keys.OrderBy(type => type.Name, StringComparer.Ordinal));
        Assert.All(FlowMessages.ByManifest.Keys, manifest => Assert.Matches("^[a-z]{2}[1-9]$", manifest));
    }

    // Bytes that lie on other nodes or on a disk are read by what is built later: these change only with the manifest.
    [Fact]
    public void Bytes_stay_as_they_are()
    {
        AssertBytes("fs1", "C1 06 04 00 02 01", new FinishStep(new BatchId(3, 2), 1, Apply: true));
        var experience = new Experience(
            Ragged.FromRows([new[] { 1, 2, 300 }, [4]]),
            Ragged.FromRows([new[] { false, true, true }, [false]]),
            new Dictionary<string, Ragged<float>> { ["kl"] = Ragged.FromRows([new[] { 0.5f }, [-1f]]) });
        AssertBytes(
            "ts1",
            "C1 0E 00 00" // batch 7.0
            + " 0E 12" // iterations 7 and 9
            + " 02 03 01 01000000 02000000 2C010000 04000000" // tokens
            + " 02 03 01 06" // targets
            + " 01 02 6B6C 02 01 01 0000003F 000080BF" // columns
            + " 04 04", // most rows 2, target tokens 2
            new TrainShard(new BatchId(7, 0), new TrainRequest(7, 9, experience)));
    }

    [Fact]
    public void An_actor_takes_its_path_once()
    {
        var actor = _system.ActorOf(Props.Empty, "the-same-actor");
        var one = _serializer.Pack(new PublishWeights(1, 1, 1, [actor])).Bytes.Length;
        Assert.Equal(one + 9, _serializer.Pack(new PublishWeights(1, 1, 1, [.. Enumerable.Repeat(actor, 10)])).Bytes.Length);
        var read = Assert.IsType<PublishWeights>(Unpacked(new PublishWeights(1, 1, 1, [actor, actor])));
        Assert.Equal([actor, actor], read.Readers);
    }

    [Fact]
    public void Actors_that_cannot_be_are_refused()
    {
        Refused("pw1", "C1 02 02 02 01 01 00", "Readers is actor 1 of 0 so far");
        Refused("pw1", "C1 02 02 02 01 00 03 616263", "Readers is 'abc', which is no actor's path");
        Refused("pw1", "C1 02 02 02 01 00 8110" + string.Concat(Enumerable.Repeat("61", 2049)), "Readers has 2049 bytes; at most 1024");
        foreach (var path in new[]
        {
            "akka://other/user/actor-1", "akka.tcp://wire@localhost:1/user/actor-1", "akka.tcp://wire/user/actor-1", "akka://wire/user/actor-1#x",
            "akka://wire" + string.Concat(Enumerable.Repeat("/a", 31)),
        })
            Refused("pw1", [.. Convert.FromHexString("C10202020100"), (byte)path.Length, .. Encoding.ASCII.GetBytes(path)], $"Readers is '{path}', which is no actor's path of a system like akka://wire");
        var deep = _system.ActorOf(Props.Empty, new string('x', 1100));
        Assert.Contains("at most 1024", Assert.Throws<WireFormatException>(() => _serializer.Pack(new PublishWeights(1, 1, 1, [deep]))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_has_a_greatest_size()
    {
        var fits = new FlowNoted(1, "note", new string('x', WireLimits.MessageBytes - 10));
        Assert.Equal(WireLimits.MessageBytes, _serializer.ToBinary(fits).Length);
        var tooLarge = fits with { Message = fits.Message + "x" };
        var refusal = Assert.Throws<SerializationException>(() => _serializer.ToBinary(tooLarge));
        Assert.Contains("FlowNoted takes 262145 bytes; a message has at most 262144", refusal.Message, StringComparison.Ordinal);

        var packed = _serializer.Pack(tooLarge);
        Assert.False(packed.FitsMessage);
        Assert.Equal(tooLarge, _serializer.Unpack(packed.Manifest, packed.Bytes));
        Assert.Contains("at most 262144", Assert.Throws<WireFormatException>(() => _serializer.FromBinary(packed.Bytes, packed.Manifest)).Message, StringComparison.Ordinal);
        Assert.Contains("fn1", Assert.Throws<SerializationException>(() => _serializer.ToBinary(packed)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_packed_message_goes_in_the_place_of_the_message()
    {
        var message = new FlowNoted(1, "note", "text");
        var packed = _serializer.Pack(message);
        Assert.True(packed.FitsMessage);
        Assert.Equal(message, _serializer.FromBinary(_serializer.ToBinary(packed), _serializer.Manifest(packed)));
        Assert.Equal(_serializer.ToBinary(message), _serializer.ToBinary(packed));
    }

    [Fact]
    public void A_parcel_holds_a_message_and_never_a_parcel()
    {
        Refused("pc1", WireFrame.Bytes(new Parcel(1, "pc1", [new BlobReference("b", 1, "h")]), FlowParts.Write), "Manifest is 'pc1'");
        Refused("pc1", WireFrame.Bytes(new Parcel(1, "zz9", [new BlobReference("b", 1, "h")]), FlowParts.Write), "Manifest is 'zz9'");
        Refused("pc1", WireFrame.Bytes(new Parcel(1, "gr1", [new BlobReference("b", 1L << 40, "h")]), FlowParts.Write), "Bytes of a piece is 1099511627776; 1 to 16777216");
        Refused("pc1", WireFrame.Bytes(new Parcel(1, "gr1", [new BlobReference("b", -1, "h")]), FlowParts.Write), "Bytes of a piece is -1");
        Refused("pc1", WireFrame.Bytes(new Parcel(1, "gr1", []), FlowParts.Write), "Bytes is 0");
        Refused("pc1", WireFrame.Bytes(new Parcel(1, "gr1", [.. Enumerable.Repeat(new BlobReference("b", WireLimits.PieceBytes, "h"), 65)]), FlowParts.Write), "Bytes is 1090519040; 1 to 1073741824");
    }

    [Fact]
    public void What_is_no_message_is_refused()
    {
        Refused("zz9", "C1", "No message has the manifest 'zz9'; run the same version on all nodes");
        Assert.True(Assert.Throws<WireFormatException>(() => _serializer.FromBinary([], new string('z', 5000))).Message.Length < 200);
        Assert.Contains("StateCaptured has no entry", Assert.Throws<SerializationException>(
            () => _serializer.ToBinary(new StateCaptured(1, "policy", null!))).Message, StringComparison.Ordinal);

        // A fault of ours in a message must not end the association.
        Assert.Contains("FlowNoted cannot be written", Assert.Throws<SerializationException>(
            () => _serializer.ToBinary(new FlowNoted(1, "note", null!))).Message, StringComparison.Ordinal);
    }

    private object Unpacked(IWireMessage message) => _serializer.Pack(message) is var packed ? _serializer.Unpack(packed.Manifest, packed.Bytes) : null!;

    private void AssertBytes(string manifest, string hexadecimal, IWireMessage message)
    {
        var packed = _serializer.Pack(message);
        Assert.Equal(manifest, packed.Manifest);
        Assert.Equal(hexadecimal.Replace(" ", "", StringComparison.Ordinal), Convert.ToHexString(packed.Bytes));
        Assert.Equal(Described.Text(message), Described.Text(_serializer.Unpack(packed.Manifest, packed.Bytes)));
    }

    private void Refused(string manifest, string hexadecimal, string reason) =>
        Refused(manifest, Convert.FromHexString(hexadecimal.Replace(" ", "", StringComparison.Ordinal)), reason);

    private void Refused(string manifest, byte[] bytes, string reason) =>
        Assert.Contains(reason, Assert.Throws<WireFormatException>(() => _serializer.FromBinary(bytes, manifest)).Message, StringComparison.Ordinal);
}
