using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

/// <summary>Where each parameter lies in a flat chunk.</summary>
internal sealed class FlatLayout
{
    // Shards begin at cache lines, whatever the element type.
    private const long Alignment = 32;
    private readonly Dictionary<ParameterSlot, int> _index = new(ReferenceEqualityComparer.Instance);
    private readonly long[] _offsets;
    private readonly long[][] _shapes;

    /// <summary>Lays parameters out one behind the other.</summary>
    /// <param name="slots">In order.</param>
    /// <param name="ranks">The whole is padded so that it divides evenly.</param>
    public FlatLayout(IReadOnlyList<ParameterSlot> slots, int ranks)
    {
        _offsets = new long[slots.Count + 1];
        _shapes = [.. slots.Select(slot => slot.Shape.ToArray())];
        for (var i = 0; i < slots.Count; i++)
        {
            _index[slots[i]] = i;
            _offsets[i + 1] = _offsets[i] + _shapes[i].Aggregate(1L, (product, size) => product * size);
        }

        Padded = PaddedLength(_offsets[^1], ranks);
    }

    /// <summary>Parameters without padding.</summary>
    public int Count => _shapes.Length;

    /// <summary>Elements with padding.</summary>
    public long Padded { get; }

    /// <summary>First padding element.</summary>
    public long Used => _offsets[^1];

    /// <summary>Elements of a chunk once it is padded.</summary>
    public static long PaddedLength(long elements, int ranks)
    {
        var unit = ranks == 1 ? 1 : ranks * Alignment;
        return (elements + unit - 1) / unit * unit;
    }

    /// <summary>Place of a slot in the order.</summary>
    public int IndexOf(ParameterSlot slot) => _index[slot];

    /// <summary>A parameter's elements as a tensor of its shape.</summary>
    public Tensor View(Tensor flat, int index) =>
        flat.narrow(0, _offsets[index], _offsets[index + 1] - _offsets[index]).view(_shapes[index]);
}
