using System.Runtime.InteropServices;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Lora;

// in, out = sizes of the linear layer, r = rank. Weights of the adapter are float32 on every model, as in PEFT.

/// <summary>The adapter of one linear layer: adds (alpha / r) B A x to its output.</summary>
internal sealed class LoraLinear : ILinearAdapter, IDisposable
{
    // Keeps the first weights apart from those of the base model, which have the same purpose and small numbers.
    private const long InitialisationStream = 0x4C6F5241;

    // Where FNV-1a begins.
    private const ulong FirstHash = 0xCBF29CE484222325;

    private readonly AttachedLora _owner;
    private readonly RandomKey _dropoutKey;
    private Tensor? _base;
    private Tensor? _merged;

    /// <summary>A is drawn as PEFT does, uniform in [-1/sqrt(in), 1/sqrt(in)); B is 0, so nothing changes at first.</summary>
    /// <param name="owner">Knows whether adapters act and train.</param>
    /// <param name="site">The layer.</param>
    /// <param name="index">Number of the site among the adapted ones; part of every random key.</param>
    /// <param name="rank">r.</param>
    /// <param name="device">Where the model computes.</param>
    /// <param name="seed">The run's seed.</param>
    public LoraLinear(AttachedLora owner, ILinearSite site, int index, int rank, Device device, ulong seed)
    {
        (_owner, Site) = (owner, site);
        _dropoutKey = new RandomKey(seed, RandomPurpose.Dropout, Prompt: index);
        var (outputs, inputs) = (site.Weight.Shape[0], site.Weight.Shape[1]);
        var key = new RandomKey(seed, RandomPurpose.Initialisation, InitialisationStream, index);
        var values = new float[rank * inputs];
        var bound = 1 / Math.Sqrt(inputs);
        for (var i = 0; i < values.Length; i++)
            values[i] = (float)(((2 * key.Uniform(i)) - 1) * bound);
        A = Slot("lora_A", tensor(values, [rank, inputs], device: device));
        B = Slot("lora_B", zeros([outputs, rank], float32, device));
    }

    /// <summary>The layer.</summary>
    public ILinearSite Site { get; }

    /// <summary>[r, in] float32.</summary>
    public ParameterSlot A { get; }

    /// <summary>[out, r] float32.</summary>
    public ParameterSlot B { get; }

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Tensor output) => Add(input, output, null);

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Tensor output, SequenceLayout layout) => Add(input, output, layout);

    /// <summary>Computes the merged weight; it is used while the owner says so.</summary>
    public void Merge()
    {
        if (Site.Kernel is not null)
            throw new UserErrorException(
                $"Layer '{Site.Name}' computes with a quantised kernel, so an adapter cannot be merged into its weight; merge into the unquantised model and quantise that.");
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        _base = Site.Weight.Value;
        var sum = _base.to(float32).add(B.Value.matmul(A.Value), _owner.Scale);
        _merged = sum.to(_base.dtype).DetachFromDisposeScope();
    }

    /// <summary>Puts the merged or the untouched weight into the layer. The untouched one is never written to.</summary>
    public void Show(bool merged)
    {
        if (_base is not null)
            Site.Weight.Value = merged ? _merged! : _base;
    }

    /// <summary>Drops the merged weight.</summary>
    public void Unmerge()
    {
        Show(merged: false);
        _merged?.Dispose();
        (_base, _merged) = (null, null);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Unmerge();
        A.Value.Dispose();
        B.Value.Dispose();
    }

    private ParameterSlot Slot(string part, Tensor value) => new(
        $"base_model.model.{Site.Name}.{part}.weight", value.DetachFromDisposeScope().requires_grad_(true));

    private Tensor Add(Tensor input, Tensor output, SequenceLayout? layout)
    {
        if (!_owner.Acts)
            return output;
        using var scope = NewDisposeScope();
        var x = input.to(float32);
        if (_owner.Training && _owner.Dropout > 0)
            x = x * DropoutFactors(input, layout);
        var part = nn.functional.linear(nn.functional.linear(x, A.Value), B.Value);
        return output.add(part.to(output.dtype), _owner.Scale).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// 0 or 1 / (1 - dropout) for every input number, as a pure function of seed, layer, adapter weights, the row's tokens
    /// and the place in the row: a recomputed forward pass, a resumed run and a window cut into other micro-batches drop
    /// the same numbers without a counter to save, and the next step (whose weights differ) drops others. A head's inputs
    /// [N, in] belong to no row; theirs are keyed by content and index instead, so there the cut does matter.
    /// </summary>
    private Tensor DropoutFactors(Tensor input, SequenceLayout? layout)
    {
        var weights = Hash(FirstHash, B.Value);
        var factors = new float[input.numel()];
        if (layout?.RowKeys is { } keys)
        {
            var (places, inputs) = (factors.Length / keys.Count, (int)input.shape[^1]);

            // Pads keep factor 0: nothing reads them.
            Parallel.For(0, keys.Count, row => Draw(factors.AsSpan(row * places, layout.Lengths[row] * inputs), Mix(weights, keys[row])));
        }
        else
        {
            Draw(factors, Hash(weights, input));
        }

        return tensor(factors, input.shape, device: input.device);
    }

    private void Draw(Span<float> factors, ulong content)
    {
        var key = _dropoutKey with { Iteration = (long)(content >> 20) };
        var keep = (float)(1 / (1 - _owner.Dropout));
        var threshold = (uint)Math.Min(uint.MaxValue, _owner.Dropout * 4294967296.0);
        Span<uint> words = stackalloc uint[4];
        for (var i = 0; i < factors.Length; i += words.Length)
        {
            (words[0], words[1], words[2], words[3]) = key.Block(i / words.Length);
            for (var k = 0; k < words.Length && i + k < factors.Length; k++)
                factors[i + k] = words[k] < threshold ? 0 : keep;
        }
    }

    // The finaliser of SplitMix64: neighbouring hashes must not give neighbouring keys.
    private static ulong Mix(ulong weights, ulong row)
    {
        var mixed = weights ^ (row * 0x9E3779B97F4A7C15);
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }

    private static ulong Hash(ulong hash, Tensor values)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var words = MemoryMarshal.Cast<byte, uint>(values.detach().to(float32).cpu().contiguous().bytes);
        foreach (var word in words)
            hash = (hash ^ word) * 0x100000001B3;
        return hash;
    }
}
