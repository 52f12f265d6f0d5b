using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// A copy of one role's state: what its Capture wrote, or has somebody else keep, and its Restore reads. Writing again after
/// <see cref="Begin"/> reuses the memory of tensors whose name and size did not change, and a keeper that of the last copy,
/// so that regular copies allocate nothing. Not safe to use from several threads at once.
/// </summary>
/// <param name="role">The role's slot, such as <c>trainers.policy</c>; for messages.</param>
/// <param name="folder">Takes what is too much for memory, in files without a name; null keeps all in memory.</param>
public sealed class StateImage(string role, string? folder = null) : IStateTaker, IStateReader
{
    private readonly Dictionary<string, SavedTensor> _tensors = [];
    private readonly Dictionary<string, string> _json = [];
    private readonly Dictionary<string, OwnBytes> _spare = [];
    private IKeptState? _spareKept;
    private bool _isAlone;

    /// <summary>The role's slot.</summary>
    public string Role { get; } = role;

    /// <inheritdoc/>
    public IReadOnlyList<string> TensorNames => [.. _tensors.Keys];

    /// <summary>Names of the JSON documents.</summary>
    public IReadOnlyList<string> JsonNames => [.. _json.Keys];

    /// <summary>What it holds, in the order in which it was written.</summary>
    internal IReadOnlyList<KeptTensor> Tensors =>
        [.. _tensors.Select(tensor => new KeptTensor(tensor.Key, tensor.Value.Type, tensor.Value.Shape, tensor.Value.Data.Length))];

    /// <summary>Its documents by name.</summary>
    internal IReadOnlyDictionary<string, string> Documents => new Dictionary<string, string>(_json);

    /// <summary>The whole state, when somebody else keeps it.</summary>
    internal IKeptState? Kept { get; private set; }

    /// <summary>Who writes the state; null when this process does.</summary>
    internal IKeptState? Writer => _isAlone ? null : Kept;

    /// <summary>Asks the keeper for nothing any more: it may be one that never answers. The bytes are here all the same.</summary>
    internal void LeaveKeeper() => _isAlone = true;

    /// <summary>Lets go of what somebody else keeps; the image is of no use any more.</summary>
    internal void Release()
    {
        Kept?.Dispose();
        _spareKept?.Dispose();
    }

    /// <summary>Forgets the content and keeps its memory for the next.</summary>
    public void Begin()
    {
        // Only of a state that was written although one was taken before.
        _spareKept?.Dispose();
        (_spareKept, Kept, _isAlone) = (Kept, null, false);
        _spare.Clear();
        foreach (var (name, tensor) in _tensors)
            if (tensor.Data is OwnBytes own)
                _spare[name] = own;
        _tensors.Clear();
        _json.Clear();
    }

    /// <inheritdoc/>
    public void WriteTensor(string name, ElementType type, ReadOnlySpan<long> shape, ReadOnlySpan<byte> data)
    {
        CheckSize(name, type, shape, data.Length);
        var kept = _spare.Remove(name, out var spare) && spare.Length == data.Length
            ? spare
            : OwnBytes.New(data.Length, folder);
        kept.Set(data);
        Add(name, new SavedTensor(type, shape.ToArray(), kept));
    }

    /// <inheritdoc/>
    public void WriteJson(string name, string json)
    {
        if (!_json.TryAdd(name, json))
            throw new ArgumentException($"{Role} writes two documents named '{name}'.", nameof(name));
    }

    /// <inheritdoc/>
    public IKeptState? GiveBack()
    {
        _spare.Clear();
        var given = _spareKept;
        _spareKept = null;
        return given;
    }

    /// <inheritdoc/>
    public void Take(IKeptState state)
    {
        foreach (var tensor in state.Tensors)
        {
            long[] shape = [.. tensor.Shape];
            CheckSize(tensor.Name, tensor.Type, shape, tensor.Bytes);
            Add(tensor.Name, new SavedTensor(tensor.Type, shape, new KeptBytes(state, tensor)));
        }

        foreach (var (name, json) in state.Documents)
            WriteJson(name, json);
        Kept = state;
    }

    /// <inheritdoc/>
    public (ElementType Type, long[] Shape) Describe(string name)
    {
        var tensor = Find(name);
        return (tensor.Type, [.. tensor.Shape]);
    }

    /// <inheritdoc/>
    public void ReadTensor(string name, Span<byte> destination)
    {
        var data = Find(name).Data;
        if (destination.Length != data.Length)
            throw new ArgumentException(
                $"Tensor '{name}' of {Role} has {data.Length} bytes; the destination has {destination.Length}.", nameof(destination));
        data.Read(0, destination);
    }

    /// <inheritdoc/>
    public string ReadJson(string name) => _json.TryGetValue(name, out var json)
        ? json
        : throw new UserErrorException(
            $"The saved state of {Role} has no document '{name}', only {Names(_json.Keys)}; was it saved by another plugin version?");

    /// <summary>Bytes of a tensor, without copying.</summary>
    internal StateBytes Data(string name) => Find(name).Data;

    /// <summary>Bytes of one element.</summary>
    internal static int SizeOf(ElementType type) => type switch
    {
        ElementType.Float32 or ElementType.Int32 => 4,
        ElementType.Float16 or ElementType.BFloat16 => 2,
        ElementType.Int64 => 8,
        ElementType.UInt8 => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Unknown element type."),
    };

    private void CheckSize(string name, ElementType type, ReadOnlySpan<long> shape, int bytes)
    {
        var elements = 1L;
        foreach (var size in shape)
            elements = checked(elements * size);
        if (elements * SizeOf(type) != bytes)
            throw new ArgumentException(
                $"Tensor '{name}' of {Role} has shape [{string.Join(", ", shape.ToArray())}] of {type}, "
                + $"which is {elements * SizeOf(type)} bytes, but {bytes} were given.", nameof(bytes));
    }

    private void Add(string name, SavedTensor tensor)
    {
        if (!_tensors.TryAdd(name, tensor))
            throw new ArgumentException($"{Role} writes two tensors named '{name}'.", nameof(name));
    }

    private SavedTensor Find(string name) => _tensors.TryGetValue(name, out var tensor)
        ? tensor
        : throw new UserErrorException(
            $"The saved state of {Role} has no tensor '{name}', only {Names(_tensors.Keys)}; was it saved with another model or plugin version?");

    private static string Names(IReadOnlyCollection<string> names) =>
        names.Count == 0 ? "none" : string.Join(", ", names.Order().Take(8)) + (names.Count > 8 ? ", ..." : "");

    private sealed record SavedTensor(ElementType Type, long[] Shape, StateBytes Data);
}
