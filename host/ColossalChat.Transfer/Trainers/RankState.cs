using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// A copy of the state of a rank in another process, as seen from the process that leads the run. Both have its files, so it
/// outlives the rank.
/// </summary>
/// <param name="id">What the other process knows it by.</param>
/// <param name="line">To the other process, which writes it.</param>
/// <param name="files">Disposed with this.</param>
internal sealed class RankState(long id, ShardLine line, StateFiles files) : IKeptState
{
    private readonly Dictionary<KeptTensor, StatePlace> _places = new(ReferenceEqualityComparer.Instance);

    /// <summary>What the other process knows it by.</summary>
    public long Id => id;

    /// <summary>True once it is of no more use to this process.</summary>
    public bool IsDisposed { get; private set; }

    /// <inheritdoc/>
    public IReadOnlyList<KeptTensor> Tensors { get; private set; } = [];

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Documents { get; private set; } = new Dictionary<string, string>();

    /// <summary>True when the process at the end of a line can capture into it.</summary>
    public bool IsAt(ShardLine other) => ReferenceEquals(line, other);

    /// <summary>Reads what <see cref="CapturedState.WriteIndex"/> wrote.</summary>
    /// <returns>This.</returns>
    public RankState ReadIndex(BinaryReader from)
    {
        _places.Clear();
        var tensors = new KeptTensor[from.ReadInt32()];
        for (var i = 0; i < tensors.Length; i++)
        {
            var (name, type, shape) = TrainerCodec.ReadHead(from);
            tensors[i] = new KeptTensor(name, type, shape, from.ReadInt32());
            _places[tensors[i]] = new StatePlace(from.ReadBoolean(), from.ReadInt64());
        }

        var documents = new Dictionary<string, string>();
        for (var left = from.ReadInt32(); left > 0; left--)
            documents.Add(from.ReadString(), from.ReadString());
        (Tensors, Documents) = (tensors, documents);
        return this;
    }

    /// <inheritdoc/>
    public void Read(KeptTensor tensor, int start, Span<byte> destination)
    {
        if (start < 0 || start > tensor.Bytes - destination.Length)
            throw new ArgumentOutOfRangeException(nameof(start), start, $"{destination.Length} bytes from {start} do not lie within the {tensor.Bytes} of tensor '{tensor.Name}'.");
        var place = _places[tensor];
        files.Read(place with { Offset = place.Offset + start }, destination);
    }

    /// <inheritdoc/>
    public WrittenFile? Write(string dataFile, string indexFile, ReadOnlySpan<byte> index) => line.Write(id, dataFile, indexFile, index);

    /// <summary>Writes all of it to somebody who takes nothing over.</summary>
    public void CopyTo(IStateWriter writer)
    {
        foreach (var tensor in Tensors)
        {
            var data = GC.AllocateUninitializedArray<byte>(tensor.Bytes);
            Read(tensor, 0, data);
            writer.WriteTensor(tensor.Name, tensor.Type, [.. tensor.Shape], data);
        }

        foreach (var (name, json) in Documents)
            writer.WriteJson(name, json);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        IsDisposed = true;
        files.Dispose();
    }
}
