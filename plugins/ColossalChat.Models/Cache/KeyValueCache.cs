using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Llama;
using static TorchSharp.torch;

namespace ColossalChat.Models.Cache;

// R = rows there is memory for, C = tokens of each there is memory for, K = key-value heads, D = head size; B, T, S, N as in KeyValueStep.

/// <summary>
/// Keys and values of each layer as one [R x C, K x D] tensor that new tokens are written into and that attention reads in
/// place. Starts with one short row and grows in rows and in tokens as they are planned, up to the limits asked for: a
/// cache for many sequences costs no more than those that are in it.
/// </summary>
internal sealed class KeyValueCache : IKeyValueCache
{
    private const int FirstCapacity = 64;
    private readonly int _limit;
    private readonly int _keyValueHeads;
    private readonly int _headSize;
    private readonly ScalarType _precision;
    private readonly Device _device;
    private readonly RotaryTable _rotary;
    private readonly int[] _lengths;
    private readonly Tensor[] _keys;
    private readonly Tensor[] _values;
    private int _rows = 1;
    private int _capacity;

    /// <summary>An empty cache.</summary>
    public KeyValueCache(int rows, int tokens, int layers, int keyValueHeads, int headSize, ScalarType precision, Device device, RotaryTable rotary)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(tokens, 1);
        (_limit, _keyValueHeads, _headSize, _precision, _device, _rotary) = (tokens, keyValueHeads, headSize, precision, device, rotary);
        (_lengths, _capacity) = (new int[rows], Math.Min(tokens, FirstCapacity));
        _keys = [.. Enumerable.Range(0, layers).Select(_ => NewLayer())];
        _values = [.. Enumerable.Range(0, layers).Select(_ => NewLayer())];
    }

    /// <inheritdoc/>
    public int Rows => _lengths.Length;

    /// <inheritdoc/>
    public IReadOnlyList<int> Lengths => _lengths;

    /// <summary>Memory of all layers' keys and values, in bytes.</summary>
    public long Bytes => _keys.Concat(_values).Sum(layer => layer.NumberOfElements * layer.ElementSize);

    /// <inheritdoc/>
    public CacheStep Plan(IReadOnlyList<int>? rows, IReadOnlyList<int> newLengths)
    {
        rows ??= [.. Enumerable.Range(0, Rows)];
        if (rows.Count == 0 || rows.Count != newLengths.Count || newLengths.Min() < 1)
            throw new ArgumentException($"{rows.Count} rows need as many lengths of at least 1.", nameof(newLengths));
        var past = rows.Select(row => _lengths[row]).ToArray();
        var tokens = Enumerable.Range(0, rows.Count).Max(i => past[i] + newLengths[i]);
        if (tokens > _limit)
            throw new ArgumentException($"A row would have {tokens} tokens; this cache holds {_limit}.", nameof(newLengths));
        Grow(rows.Max() + 1, tokens);
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var padded = newLengths.Max();
        var isFresh = past.All(length => length == 0);
        var (cos, sin) = isFresh ? _rotary.First(padded) : _rotary.At(Integers(Positions(past, newLengths, padded)), rows.Count);
        var inPlace = Enumerable.Range(1, rows.Count - 1).All(i => rows[i] == rows[0] + i);
        var isRagged = newLengths.Any(length => length != padded);
        return new KeyValueStep([.. rows], [.. newLengths])
        {
            IsFresh = isFresh,
            Tokens = tokens,
            Destinations = Integers(Destinations(rows, past, newLengths)).DetachFromDisposeScope(),
            Sources = isRagged ? Integers(Sources(newLengths, padded)).DetachFromDisposeScope() : null,
            ScatteredRows = inPlace ? null : Integers([.. rows.Select(row => (long)row)]).DetachFromDisposeScope(),
            Cos = cos.DetachFromDisposeScope(),
            Sin = sin.DetachFromDisposeScope(),
            Visible = isFresh ? null : Visibility(past, newLengths, padded, tokens)?.DetachFromDisposeScope(),
        };
    }

    /// <summary>Stores new keys and values of one layer.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="key">[B, T, K, D].</param>
    /// <param name="value">[B, T, K, D].</param>
    /// <param name="step">Where they go.</param>
    public void Write(int layer, Tensor key, Tensor value, KeyValueStep step)
    {
        Store(_keys[layer], key, step);
        Store(_values[layer], value, step);
    }

    /// <summary>Keys and values of the step's rows: views of [B, K, S, D] where rows stand without gaps.</summary>
    public (Tensor Key, Tensor Value) Read(int layer, KeyValueStep step) => (View(_keys[layer], step), View(_values[layer], step));

    /// <inheritdoc/>
    public void Advance(CacheStep step)
    {
        for (var i = 0; i < step.Rows.Count; i++)
            _lengths[step.Rows[i]] += step.NewLengths[i];
    }

    /// <inheritdoc/>
    public void Clear(int row) => _lengths[row] = 0;

    /// <inheritdoc/>
    public void Move(int from, int to)
    {
        if (from == to)
            return;
        var length = _lengths[from];
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        if (length > 0)
            foreach (var layer in _keys.Concat(_values))
                layer.narrow(0, (long)to * _capacity, length).copy_(layer.narrow(0, (long)from * _capacity, length));
        (_lengths[to], _lengths[from]) = (length, 0);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var layer in _keys.Concat(_values))
            layer.Dispose();
    }

    private static long[] Positions(int[] past, IReadOnlyList<int> newLengths, int padded)
    {
        // Pads take the position of their row's last token, which surely exists.
        var positions = new long[past.Length * padded];
        for (var i = 0; i < past.Length; i++)
            for (var t = 0; t < padded; t++)
                positions[(i * padded) + t] = past[i] + Math.Min(t, newLengths[i] - 1);
        return positions;
    }

    private static long[] Sources(IReadOnlyList<int> newLengths, int padded) =>
        [.. newLengths.SelectMany((length, i) => Enumerable.Range(0, length).Select(t => ((long)i * padded) + t))];

    private long[] Destinations(IReadOnlyList<int> rows, int[] past, IReadOnlyList<int> newLengths) =>
        [.. newLengths.SelectMany((length, i) => Enumerable.Range(0, length).Select(t => ((long)rows[i] * _capacity) + past[i] + t))];

    private Tensor? Visibility(int[] past, IReadOnlyList<int> newLengths, int padded, int tokens)
    {
        if (padded == 1 && past.All(length => length + 1 == tokens))
            return null;
        var last = new long[past.Length * padded];
        for (var i = 0; i < past.Length; i++)
            for (var t = 0; t < padded; t++)
                last[(i * padded) + t] = past[i] + Math.Min(t, newLengths[i] - 1);
        var isHidden = arange(tokens, dtype: ScalarType.Int64, device: _device).gt(Integers(last).view(past.Length, 1, padded, 1));
        return zeros([past.Length, 1, padded, tokens], _precision, _device).masked_fill_(isHidden, double.NegativeInfinity);
    }

    private static void Store(Tensor layer, Tensor heads, KeyValueStep step)
    {
        var flat = heads.reshape(-1, layer.shape[1]);
        if (step.Sources is { } sources)
            flat = flat.index_select(0, sources);
        layer.index_copy_(0, step.Destinations, flat);
    }

    private Tensor View(Tensor layer, KeyValueStep step)
    {
        var rows = layer.view(_rows, _capacity, _keyValueHeads, _headSize).narrow(1, 0, step.Tokens);
        rows = step.ScatteredRows is { } scattered ? rows.index_select(0, scattered) : rows.narrow(0, step.Rows[0], step.Rows.Count);
        return rows.transpose(1, 2);
    }

    private void Grow(int rows, int tokens)
    {
        if (rows <= _rows && tokens <= _capacity)
            return;
        var (oldRows, oldCapacity) = (_rows, _capacity);
        _rows = rows <= _rows ? _rows : Math.Min(Rows, Math.Max(rows, _rows * 3 / 2));
        _capacity = tokens <= _capacity ? _capacity : Math.Min(_limit, Math.Max(tokens, (_capacity * 3 / 2 + 63) / 64 * 64));
        using var noGradient = no_grad();
        foreach (var layers in (Tensor[][])[_keys, _values])
            for (var i = 0; i < layers.Length; i++)
            {
                using var scope = NewDisposeScope();
                var larger = NewLayer();
                larger.view(_rows, _capacity, -1).narrow(0, 0, oldRows).narrow(1, 0, oldCapacity).copy_(layers[i].view(oldRows, oldCapacity, -1));
                layers[i].Dispose();
                layers[i] = larger;
            }
    }

    // Zeros, not empty memory: what a mask hides is multiplied by zero, and zero times a stray NaN is NaN.
    private Tensor NewLayer() =>
        zeros([(long)_rows * _capacity, _keyValueHeads * _headSize], _precision, _device).DetachFromDisposeScope();

    private Tensor Integers(long[] values) => tensor(values, ScalarType.Int64, _device);
}
