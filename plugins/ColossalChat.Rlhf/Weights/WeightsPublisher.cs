using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

/// <summary>Where the parameters of a publication are.</summary>
/// <param name="Pieces">Blocks of bytes, each with whole parameters.</param>
/// <param name="Canary">What the publisher's model says to the <see cref="CanaryPrompt"/>.</param>
internal sealed record WeightsManifest(IReadOnlyList<WeightsPiece> Pieces, IReadOnlyList<float> Canary);

/// <summary>One block.</summary>
/// <param name="Blob">Where its bytes are.</param>
/// <param name="Parameters">Back to back in it.</param>
internal sealed record WeightsPiece(BlobReference Blob, IReadOnlyList<WeightsEntry> Parameters);

/// <summary>One parameter.</summary>
/// <param name="Name">As the model names it.</param>
/// <param name="Type">Element type, such as <c>Float32</c>.</param>
/// <param name="Bytes">Its length.</param>
internal sealed record WeightsEntry(string Name, string Type, int Bytes);

/// <summary>
/// Puts the trained parameters into the lane, for readers with weights of their own. The newest publications stay, so that a
/// reader that is late or new still finds what it was told of.
/// </summary>
/// <param name="lane">Where they go.</param>
/// <param name="staleness">Updates by which readers may lag.</param>
internal sealed class WeightsPublisher(IBlobLane lane, int staleness) : IDisposable
{
    private const long PieceBytes = 256 << 20;
    private readonly Queue<IReadOnlyList<BlobReference>> _published = new();

    /// <summary>Publishes the parameters' current values.</summary>
    /// <param name="publication">Names the weights.</param>
    /// <param name="slots">Whole and readable until the call returns.</param>
    /// <param name="canary">What the model says to the <see cref="CanaryPrompt"/>.</param>
    /// <param name="cancel">Ends it.</param>
    /// <returns>The publication with its blob: a manifest of the pieces.</returns>
    public WeightsPublication Publish(WeightsPublication publication, IReadOnlyList<ParameterSlot> slots, IReadOnlyList<float> canary, CancellationToken cancel)
    {
        var (pieces, name) = (new List<WeightsPiece>(), $"{publication.Model}.{publication.Epoch}.{publication.Version}");
        foreach (var group in Cut(slots))
        {
            cancel.ThrowIfCancellationRequested();
            var entries = group.Select(slot => new WeightsEntry(slot.Name, slot.Value.dtype.ToString(), (int)BytesOf(slot))).ToArray();
            using var content = new ParameterStream(group);
            pieces.Add(new WeightsPiece(lane.Publish($"{name}.{pieces.Count}", content, entries.Sum(entry => (long)entry.Bytes)), entries));
        }

        var manifest = lane.Publish(name, JsonSerializer.SerializeToUtf8Bytes(new WeightsManifest(pieces, canary)));
        _published.Enqueue([manifest, .. pieces.Select(piece => piece.Blob)]);
        while (_published.Count > staleness + 2)
            Withdraw(_published.Dequeue());
        return publication with { Blob = manifest };
    }

    public void Dispose()
    {
        while (_published.TryDequeue(out var blobs))
            Withdraw(blobs);
    }

    private void Withdraw(IReadOnlyList<BlobReference> blobs)
    {
        foreach (var blob in blobs)
            lane.Withdraw(blob);
    }

    private static IEnumerable<IReadOnlyList<ParameterSlot>> Cut(IReadOnlyList<ParameterSlot> slots)
    {
        var (group, bytes) = (new List<ParameterSlot>(), 0L);
        foreach (var slot in slots)
        {
            if (group.Count > 0 && bytes + BytesOf(slot) > PieceBytes)
            {
                yield return group;
                (group, bytes) = ([], 0);
            }

            group.Add(slot);
            bytes += BytesOf(slot);
        }

        if (group.Count > 0)
            yield return group;
    }

    private static long BytesOf(ParameterSlot slot) => slot.Value.NumberOfElements * slot.Value.ElementSize;

    /// <summary>Bytes of parameters one after the other, without a copy of all of them.</summary>
    private sealed class ParameterStream(IReadOnlyList<ParameterSlot> slots) : Stream
    {
        private int _slot;
        private long _offset;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            if (_slot == slots.Count)
                return 0;
            using var scope = NewDisposeScope();
            var bytes = slots[_slot].Value.detach().cpu().contiguous().bytes[(int)_offset..];
            var taken = Math.Min(bytes.Length, buffer.Length);
            bytes[..taken].CopyTo(buffer);
            _offset += taken;
            if (taken == bytes.Length)
                (_slot, _offset) = (_slot + 1, 0);
            return taken;
        }

        public override void Flush()
        {
            // Nothing is written.
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
