using ColossalChat.Contracts.Torch;

namespace ColossalChat.Engine;

/// <summary>
/// The parts that a pass goes through (embedding, blocks, head) and the chunks each needs. A chunk may serve several parts;
/// its gradients are complete once the earliest of them has gone backward.
/// </summary>
internal sealed class ChunkedParts
{
    private readonly Part[] _parts;
    private readonly Dictionary<ParameterSlot, IShardedChunk> _chunkOf = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<IShardedChunk, int> _earliest = [];

    public ChunkedParts(TrainingTarget target, IReadOnlyList<IShardedChunk> chunks)
    {
        Chunks = chunks;
        foreach (var chunk in chunks)
            foreach (var slot in chunk.Slots)
                _chunkOf[slot] = chunk;

        // Which block an adapter's parameter works in is the adapter's own affair.
        var adapters = target.Adapter?.Parameters ?? [];
        var bodies = TrainableParts.Base(target).ToArray();
        _parts = [.. bodies.Select((part, i) =>
        {
            var used = i == 0 || i == bodies.Length - 1 ? part.Slots : [.. part.Slots, .. adapters];
            var trained = used.Where(_chunkOf.ContainsKey).ToArray();
            return new Part(trained, [.. trained.Select(slot => _chunkOf[slot]).Distinct()]);
        })];
        for (var i = _parts.Length - 1; i >= 0; i--)
            foreach (var chunk in _parts[i].Chunks)
                _earliest[chunk] = i;
    }

    /// <summary>All chunks in model order.</summary>
    public IReadOnlyList<IShardedChunk> Chunks { get; }

    /// <summary>Parts of a pass.</summary>
    public int Count => _parts.Length;

    /// <summary>True when something before this part trains, so that the gradient of its input is wanted.</summary>
    public bool TrainsBefore(int part) => _parts.Take(part).Any(earlier => earlier.Slots.Count > 0);

    /// <summary>Makes a part's weights readable, and begins to fetch the next one's.</summary>
    public void Gather(int part, int next)
    {
        foreach (var chunk in _parts[part].Chunks)
            chunk.Gather();
        if (next < 0 || next >= _parts.Length)
            return;
        foreach (var chunk in _parts[next].Chunks)
            chunk.Prefetch();
    }

    /// <summary>Ends one <see cref="Gather"/>.</summary>
    public void Release(int part)
    {
        foreach (var chunk in _parts[part].Chunks)
            chunk.Release();
    }

    /// <summary>Takes the gradients that a part's backward pass left on its parameters, and reduces chunks that are complete.</summary>
    public void Collect(int part, bool isLast)
    {
        foreach (var slot in _parts[part].Slots)
        {
            using var gradient = slot.Value.grad;
            if (gradient is null)
                continue;
            _chunkOf[slot].Accumulate(slot, gradient);
            slot.Value.grad = null;
        }

        Reduce(part, isLast);
    }

    /// <summary>Reduces chunks that are complete after this part.</summary>
    public void Reduce(int part, bool isLast)
    {
        foreach (var chunk in _parts[part].Chunks)
            if (_earliest[chunk] == part)
                chunk.Reduce(isLast);
    }

    private sealed record Part(IReadOnlyList<ParameterSlot> Slots, IReadOnlyList<IShardedChunk> Chunks);
}
