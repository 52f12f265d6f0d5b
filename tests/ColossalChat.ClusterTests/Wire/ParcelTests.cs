using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Large messages between nodes: who waits for whom, and who has a say about what is kept for whom.</summary>
[Trait("Category", "CI")]
public sealed class ParcelTests : IAsyncLifetime, IDisposable
{
    private const int Large = WireLimits.MessageBytes * 2;
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(30);
    private readonly WireNode _node = new(Hocon);
    private readonly WireNode _sender = new(Hocon);
    private readonly WireNode _other = new(Hocon);
    private readonly WatchedLane _lane = new();
    private IActorRef _mailbox = ActorRefs.Nobody;

    private static string Hocon => WireHocon.Text + "\n" + RunHocon.Dispatchers.Replace("akka.actor.provider = local", "", StringComparison.Ordinal);

    public Task InitializeAsync()
    {
        var (post, listener) = (new ParcelPost(_node.System, _lane), _node.Listener);
        _mailbox = _node.System.ActorOf(Props.Create(() => new Mailbox(post, listener)), "mailbox");
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        _lane.Dispose();
        foreach (var node in (WireNode[])[_node, _sender, _other])
            await node.DisposeAsync();
    }

    public void Dispose() => _lane.Dispose();

    [Fact]
    public async Task Parcels_of_a_node_that_does_not_answer_hold_up_nobody_elses()
    {
        _lane.IsSilent = blob => blob.Name.EndsWith("fn1", StringComparison.Ordinal);
        var silent = new ParcelPost(_sender.System, _lane);
        for (var parcel = 0; parcel < 4; parcel++)
            silent.Send(MailboxOf(_sender), Note($"from the silent one, {parcel}"));
        await _lane.HangsAsync();

        _lane.IsSilent = _ => false;
        new ParcelPost(_other.System, _lane).Send(MailboxOf(_other), Note("from the living one"));

        Assert.StartsWith("from the living one", ((FlowNoted)await _node.ReceiveAsync()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_parcel_is_withdrawn_by_its_recipient_and_by_nobody_else()
    {
        var gate = new TaskCompletionSource();
        _lane.Gate = gate.Task;
        new ParcelPost(_sender.System, _lane).Send(MailboxOf(_sender), Note("text"));
        await _lane.HangsAsync();
        var weights = _lane.Publish("weights", new byte[8]);

        // A node that the parcel was not for.
        var desk = _other.System.Provider.ResolveActorRef($"{_sender.System.Provider.DefaultAddress}/user/parcels");
        desk.Tell(new ParcelTaken(1));
        await AnsweredAsync(desk, _other);
        Assert.Empty(_lane.Withdrawn);

        gate.SetResult();
        await _node.ReceiveAsync();
        Assert.True(SpinWait.SpinUntil(() => !_lane.Withdrawn.IsEmpty, s_longest));
        Assert.DoesNotContain(weights, _lane.Withdrawn);
        Assert.All(_lane.Withdrawn, blob => Assert.Equal("parcel.fn1", blob.Name));
    }

    [Fact]
    public async Task Memory_for_a_large_parcel_is_taken_as_it_comes()
    {
        var text = new string('x', (2 * WireLimits.PieceBytes) + 1000);
        new ParcelPost(_sender.System, _lane).Send(MailboxOf(_sender), Note(text));

        Assert.Equal(text.Length, ((FlowNoted)await _node.ReceiveAsync()).Message.Length - Large);
        Assert.Equal(3, _lane.Fetched.Count);
        Assert.All(_lane.Fetched, bytes => Assert.InRange(bytes, 1, WireLimits.PieceBytes));
        Assert.True(SpinWait.SpinUntil(() => _lane.Withdrawn.Count == 3, s_longest));
    }

    [Fact]
    public async Task A_parcel_that_cannot_be_fetched_is_withdrawn()
    {
        _lane.IsBroken = true;
        new ParcelPost(_sender.System, _lane).Send(MailboxOf(_sender), Note("text"));
        Assert.True(SpinWait.SpinUntil(() => _lane.Withdrawn.Count == 1, s_longest));

        _lane.IsBroken = false;
        new ParcelPost(_other.System, _lane).Send(MailboxOf(_other), Note("another"));
        Assert.StartsWith("another", ((FlowNoted)await _node.ReceiveAsync()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_parcel_that_nobody_opens_is_withdrawn_when_it_has_had_its_time()
    {
        // An actor that is not there, as after an attempt that was given up.
        var nobody = _sender.System.Provider.ResolveActorRef($"{_node.System.Provider.DefaultAddress}/user/nobody");
        new ParcelPost(_sender.System, _lane, TimeSpan.FromMilliseconds(50)).Send(nobody, Note("text"));
        Assert.True(SpinWait.SpinUntil(() => _lane.Withdrawn.Count == 1, s_longest));
    }

    [Fact]
    public async Task Parcels_of_a_node_that_is_given_up_are_all_withdrawn()
    {
        await using var member = new WireNode(Hocon + "\nakka.actor.provider = cluster");
        _lane.IsSilent = _ => true;
        var post = new ParcelPost(member.System, _lane);
        for (var parcel = 0; parcel < 3; parcel++)
            post.Send(MailboxOf(member), Note($"{parcel}"));
        await _lane.HangsAsync();

        // Behind them, so all are with the desk when it comes.
        post.Send(MailboxOf(member), new FlowNoted(1, "note", "small"));
        await _node.ReceiveAsync();
        _node.System.ActorSelection("/user/parcels").Tell(new ClusterEvent.UnreachableMember(Akka.Cluster.Cluster.Get(member.System).SelfMember));

        Assert.True(SpinWait.SpinUntil(() => _lane.Withdrawn.Count == 3, s_longest));
    }

    private static FlowNoted Note(string text) => new(1, "note", text + new string(' ', Large));

    private IActorRef MailboxOf(WireNode seenFrom) =>
        seenFrom.System.Provider.ResolveActorRef(_mailbox.Path.ToSerializationFormatWithAddress(_node.System.Provider.DefaultAddress));

    // What was told before has been done.
    private static async Task AnsweredAsync(IActorRef desk, WireNode node) =>
        Assert.NotNull((await node.System.ActorSelection(desk.Path).Ask<ActorIdentity>(new Identify(1), s_longest)).Subject);

    private sealed class Mailbox : ReceiveActor
    {
        public Mailbox(ParcelPost post, IActorRef listener)
        {
            Receive<Parcel>(parcel => post.Open(parcel, Self, Sender));
            ReceiveAny(listener.Forward);
        }
    }

    /// <summary>A lane that may hang, and tells what it was asked for.</summary>
    private sealed class WatchedLane : IBlobLane, IDisposable
    {
        private readonly InProcessBlobLane _inner = new();
        private readonly CancellationTokenSource _end = new();
        private readonly SemaphoreSlim _hangs = new(0);

        public Func<BlobReference, bool> IsSilent { get; set; } = _ => false;

        public bool IsBroken { get; set; }

        public Task Gate { get; set; } = Task.CompletedTask;

        public ConcurrentQueue<BlobReference> Withdrawn { get; } = new();

        public ConcurrentQueue<int> Fetched { get; } = new();

        public async Task HangsAsync() => Assert.True(await _hangs.WaitAsync(s_longest), "nothing was fetched");

        public BlobReference Publish(string name, ReadOnlySpan<byte> content) => _inner.Publish(name, content);

        public BlobReference Publish(string name, Stream content, long bytes) => _inner.Publish(name, content, bytes);

        public void Fetch(BlobReference blob, Span<byte> destination, CancellationToken cancel)
        {
            Fetched.Enqueue(destination.Length);
            if (IsBroken)
                throw new IOException("It is gone.");
            if (IsSilent(blob))
            {
                _hangs.Release();
                using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, _end.Token);
                either.Token.WaitHandle.WaitOne(s_longest);
                throw new IOException("Nobody answered.");
            }

            if (!Gate.IsCompleted)
            {
                _hangs.Release();
                ((IAsyncResult)Gate).AsyncWaitHandle.WaitOne(s_longest);
            }

            _inner.Fetch(blob, destination, cancel);
        }

        public void Withdraw(BlobReference blob)
        {
            Withdrawn.Enqueue(blob);
            _inner.Withdraw(blob);
        }

        public void Dispose()
        {
            if (!_end.IsCancellationRequested)
                _end.Cancel();
        }
    }
}
