using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace ColossalChat.Bench;

// B = sequences, T = tokens, H = hidden size, V = vocabulary, D = head size.

/// <summary>A LLaMA decoder as a TorchSharp user writes it: modules, the library's fused attention. [B, T] to [B, T, V].</summary>
internal sealed class PlainDecoder : Module<Tensor, Tensor>
{
    private readonly Parameter _embedding;
    private readonly ModuleList<Block> _blocks;
    private readonly RmsNorm _norm;
    private readonly Projection _head;

    private PlainDecoder(DecoderSizes sizes, Origin origin)
        : base("decoder")
    {
        // Not the library's Embedding_from_pretrained: the parameter that it gives away never gets a gradient.
        _embedding = FirstWeight(sizes.Vocabulary, sizes.Hidden, origin);
        _blocks = ModuleList(Enumerable.Range(0, sizes.Layers).Select(_ => new Block(sizes, origin)).ToArray());
        _norm = new RmsNorm(sizes.Hidden, origin);
        _head = new Projection(sizes.Hidden, sizes.Vocabulary, origin);
        RegisterComponents();
    }

    /// <summary>A model whose first weights are drawn from a generator of its own, the same each time.</summary>
    public static PlainDecoder New(DecoderSizes sizes, Device device, ScalarType type)
    {
        using var generator = new Generator(1);
        return new PlainDecoder(sizes, new Origin(generator, device, type));
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor tokenIds)
    {
        var hidden = _embedding.index_select(0, tokenIds.flatten()).view(tokenIds.shape[0], tokenIds.shape[1], -1);
        var (cos, sin) = Rotary(tokenIds.shape[1], _blocks[0].HeadSize, hidden);
        foreach (var block in _blocks)
            hidden = block.forward(hidden, cos, sin);
        return _head.forward(_norm.forward(hidden));
    }

    private static (Tensor Cos, Tensor Sin) Rotary(long tokens, int headSize, Tensor like)
    {
        var frequencies = pow(10000.0, arange(0, headSize, 2, float32, like.device) / -headSize);
        var angles = outer(arange(tokens, float32, like.device), frequencies);                 // [T, D / 2]
        var both = cat([angles, angles], -1);                                             // [T, D]
        return (both.cos().to(like.dtype), both.sin().to(like.dtype));
    }

    // A module that is converted later keeps its old parameters in its fields.
    private sealed record Origin(Generator Generator, Device Device, ScalarType Type);

    private sealed class Block : Module<Tensor, Tensor, Tensor, Tensor>
    {
        private readonly int _heads;
        private readonly RmsNorm _attentionNorm;
        private readonly RmsNorm _feedForwardNorm;
        private readonly Projection _query;
        private readonly Projection _key;
        private readonly Projection _value;
        private readonly Projection _output;
        private readonly Projection _gate;
        private readonly Projection _up;
        private readonly Projection _down;

        public Block(DecoderSizes sizes, Origin origin)
            : base("block")
        {
            (_heads, HeadSize) = (sizes.Heads, sizes.Hidden / sizes.Heads);
            (_attentionNorm, _feedForwardNorm) = (new RmsNorm(sizes.Hidden, origin), new RmsNorm(sizes.Hidden, origin));
            _query = new Projection(sizes.Hidden, sizes.Hidden, origin);
            _key = new Projection(sizes.Hidden, sizes.Hidden, origin);
            _value = new Projection(sizes.Hidden, sizes.Hidden, origin);
            _output = new Projection(sizes.Hidden, sizes.Hidden, origin);
            _gate = new Projection(sizes.Hidden, sizes.FeedForward, origin);
            _up = new Projection(sizes.Hidden, sizes.FeedForward, origin);
            _down = new Projection(sizes.FeedForward, sizes.Hidden, origin);
            RegisterComponents();
        }

        public int HeadSize { get; }

        public override Tensor forward(Tensor hidden, Tensor cos, Tensor sin)
        {
            var (rows, tokens) = (hidden.shape[0], hidden.shape[1]);
            Tensor Heads(Tensor x) => x.view(rows, tokens, _heads, HeadSize).transpose(1, 2); // [B, heads, T, D]
            var normed = _attentionNorm.forward(hidden);
            var attended = functional.scaled_dot_product_attention(
                Turn(Heads(_query.forward(normed)), cos, sin), Turn(Heads(_key.forward(normed)), cos, sin), Heads(_value.forward(normed)), is_casual: true);
            hidden = hidden + _output.forward(attended.transpose(1, 2).reshape(rows, tokens, -1));
            normed = _feedForwardNorm.forward(hidden);
            return hidden + _down.forward(functional.silu(_gate.forward(normed)) * _up.forward(normed));
        }

        private static Tensor Turn(Tensor heads, Tensor cos, Tensor sin)
        {
            var halves = heads.chunk(2, -1);
            return (heads * cos) + (cat([-halves[1], halves[0]], -1) * sin);
        }
    }

    // [outputs, inputs]. The library's own layers draw theirs from the generator of the whole process, and so does
    // nn.init, even when it is given another one.
    private static Parameter FirstWeight(long outputs, long inputs, Origin origin) =>
        Parameter(empty(outputs, inputs).normal_(0, 0.02, origin.Generator).to(origin.Device).to(origin.Type));

    private sealed class Projection : Module<Tensor, Tensor>
    {
        private readonly Parameter _weight;

        public Projection(int inputs, int outputs, Origin origin)
            : base("projection")
        {
            _weight = FirstWeight(outputs, inputs, origin);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => functional.linear(input, _weight);
    }

    private sealed class RmsNorm : Module<Tensor, Tensor>
    {
        private readonly Parameter _weight;

        public RmsNorm(int size, Origin origin)
            : base("norm")
        {
            _weight = Parameter(ones(size, origin.Type, origin.Device));
            RegisterComponents();
        }

        public override Tensor forward(Tensor hidden) =>
            hidden * (hidden.pow(2).mean([-1], keepdim: true) + 1e-5).rsqrt() * _weight;
    }
}
