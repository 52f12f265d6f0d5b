using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>A copy of a role's state that the node of the role keeps; it writes the files, to storage that all nodes see.</summary>
/// <param name="shard">What tells of it.</param>
/// <param name="system">Where the answer comes in.</param>
/// <param name="cancel">Ends the wait for the node: the attempt is over.</param>
internal sealed class RemoteShard(ShardCaptured shard, ActorSystem system, CancellationToken cancel) : IKeptState
{
    // A node that is gone is noticed long before, and the attempt ends with it; this is for one that hangs.
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Again = TimeSpan.FromSeconds(2);

    /// <summary>Which copy of the attempt.</summary>
    public long Number => shard.Number;

    /// <inheritdoc/>
    public IReadOnlyList<KeptTensor> Tensors => shard.Tensors;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Documents => shard.Documents;

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">Always: the bytes are on another node.</exception>
    public void Read(KeptTensor tensor, int start, Span<byte> destination) =>
        throw new NotSupportedException($"The state of {shard.Slot} is on another node; it is read from a checkpoint.");

    /// <inheritdoc/>
    public WrittenFile? Write(string dataFile, string indexFile, ReadOnlySpan<byte> index)
    {
        var request = new WriteShard(shard.Number, Path.GetFullPath(dataFile), Path.GetFullPath(indexFile), Checkpoints.HashOf(index));
        var answer = new Answer();
        var ear = system.ActorOf(Props.Create(() => new Ear(answer)));
        try
        {
            for (var waited = TimeSpan.Zero; waited < Silence && !cancel.IsCancellationRequested; waited += Look)
            {
                // The request or its answer may be lost; whoever has written it already only answers again.
                if (waited.Ticks % Again.Ticks == 0)
                    shard.Keeper.Tell(request, ear);
                if (answer.Take(Look) is { } taken)
                    return taken switch
                    {
                        ShardWritten written => written.File,
                        ShardNotWritten failed => throw new IOException(failed.Reason),
                        var other => throw new IOException($"{shard.Slot} answered {other.GetType().Name} when it was to write its state."),
                    };
            }
        }
        finally
        {
            system.Stop(ear);
        }

        throw new IOException($"The node of {shard.Slot} did not write its state: it is gone.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // The node frees its copy with the next one, or with the role.
    }

    // Between an actor and a thread that waits for the disk anyway. An Inbox would give an answer that comes when a wait ends
    // to that wait, and nobody would have it.
    private sealed class Answer
    {
        private readonly object _gate = new();
        private object? _message;

        public void Put(object message)
        {
            lock (_gate)
            {
                _message ??= message;
                Monitor.PulseAll(_gate);
            }
        }

        public object? Take(TimeSpan limit)
        {
            lock (_gate)
            {
                if (_message is null)
                    Monitor.Wait(_gate, limit);
                return _message;
            }
        }
    }

    private sealed class Ear : ReceiveActor
    {
        public Ear(Answer answer) => ReceiveAny(answer.Put);
    }
}
