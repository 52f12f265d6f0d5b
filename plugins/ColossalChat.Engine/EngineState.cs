using System.Globalization;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

/// <summary>
/// What of the chunks is saved: master weights and moments, parameter by parameter, each rank the pieces it holds. A piece
/// is named <c>kind/parameter@first element</c>, so that any other cut, number of ranks or strategy can read it.
/// </summary>
internal static class EngineState
{
    private static readonly string[] s_kinds = ["master", "adam-mean", "adam-square"];

    /// <summary>Writes this rank's pieces.</summary>
    public static void Capture(IReadOnlyList<IShardedChunk> chunks, IStateWriter writer)
    {
        foreach (var chunk in chunks)
        {
            var shard = chunk.Shard;
            foreach (var (slot, piece) in ChunkPieces.Of(chunk))
            {
                foreach (var (kind, tensor) in s_kinds.Zip([shard.Master, shard.Mean, shard.Square]))
                {
                    using var scope = NewDisposeScope();
                    var data = tensor.narrow(0, piece.InShard, piece.Length).cpu();
                    writer.WriteTensor(NameOf(kind, slot.Name, piece.InSlot), ElementType.Float32, [piece.Length], data.bytes);
                }
            }
        }
    }

    /// <summary>Reads this rank's pieces from whatever pieces there are, and renews the working weights.</summary>
    /// <exception cref="UserErrorException">A parameter is missing or of another size; the message names it.</exception>
    public static void Restore(IReadOnlyList<IShardedChunk> chunks, IStateReader reader)
    {
        using var noGrad = no_grad();
        var saved = reader.TensorNames.Select(name => SavedPiece.Parse(name, reader)).OfType<SavedPiece>()
            .GroupBy(piece => piece.Key).ToDictionary(group => group.Key, group => group.OrderBy(piece => piece.Start).ToArray());
        foreach (var chunk in chunks)
        {
            var shard = chunk.Shard;
            foreach (var (slot, piece) in ChunkPieces.Of(chunk))
                foreach (var (kind, tensor) in s_kinds.Zip([shard.Master, shard.Mean, shard.Square]))
                    Read(saved.GetValueOrDefault($"{kind}/{slot.Name}") ?? [], kind, slot, piece, tensor, reader);
            using var scope = NewDisposeScope();
            if (!ReferenceEquals(shard.Weights, shard.Master))
                shard.Weights.copy_(shard.Master);
            chunk.Publish();
        }
    }

    private static string NameOf(string kind, string slot, long start) => string.Create(CultureInfo.InvariantCulture, $"{kind}/{slot}@{start}");

    private static void Read(SavedPiece[] saved, string kind, ParameterSlot slot, ChunkPiece wanted, Tensor shard, IStateReader reader)
    {
        var total = slot.Shape.Aggregate(1L, (product, size) => product * size);
        if (saved.Sum(piece => piece.Length) != total)
        {
            throw new UserErrorException(
                $"The saved state has {saved.Sum(piece => piece.Length)} of the {total} elements of {kind}/{slot.Name}. Resume with the model the checkpoint was made with.");
        }

        foreach (var piece in saved)
        {
            var (from, to) = (Math.Max(piece.Start, wanted.InSlot), Math.Min(piece.Start + piece.Length, wanted.InSlot + wanted.Length));
            if (from >= to)
                continue;
            using var scope = NewDisposeScope();
            var whole = empty([piece.Length], float32);
            reader.ReadTensor(piece.Name, whole.bytes);
            shard.narrow(0, wanted.InShard + from - wanted.InSlot, to - from).copy_(whole.narrow(0, from - piece.Start, to - from));
        }
    }

    private sealed record SavedPiece(string Name, string Key, long Start, long Length)
    {
        public static SavedPiece? Parse(string name, IStateReader reader)
        {
            var at = name.LastIndexOf('@');
            return at > 0 && long.TryParse(name.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var start)
                ? new SavedPiece(name, name[..at], start, reader.Describe(name).Shape[0])
                : null;
        }
    }
}
