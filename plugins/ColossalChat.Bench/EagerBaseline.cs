using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace ColossalChat.Bench;

// B = sequences, T = tokens, H = hidden size, V = vocabulary.

/// <summary>
/// What a careful TorchSharp user writes without any engine: modules, the library's fused attention, its AdamW, its
/// gradient clipping, one dispose scope a step. Same shape, same data, same work as the engine's side.
/// </summary>
internal sealed class EagerBaseline : IDisposable
{
    private readonly Decoder _decoder;
    private readonly optim.Optimizer _optimizer;

    /// <summary>Builds model and optimiser, in float32. First weights are drawn from a generator of its own, the same each time.</summary>
    public EagerBaseline(DecoderSizes sizes, Device device, double learningRate)
    {
        using var generator = new Generator(1);
        _decoder = new Decoder(sizes, generator);
        _decoder.to(device);
        _optimizer = optim.AdamW(_decoder.parameters(), learningRate, beta1: 0.9, beta2: 0.95, weight_decay: 0);
    }

    /// <summary>Loss of the last step, nats.</summary>
    public double LastLoss { get; private set; }

    /// <summary>One optimiser step on the next-token loss.</summary>
    /// <param name="tokenIds">[B, T] int64.</param>
    public void Step(Tensor tokenIds)
    {
        using var scope = NewDisposeScope();
        _optimizer.zero_grad();
        var length = tokenIds.shape[1] - 1;
        var logits = _decoder.forward(tokenIds.narrow(1, 0, length));                         // [B, T - 1, V]
        var targets = tokenIds.narrow(1, 1, length);                                          // [B, T - 1]
        var loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten());
        loss.backward();
        nn.utils.clip_grad_norm_(_decoder.parameters(), 1.0);
        _optimizer.step();
        LastLoss = loss.item<float>();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _optimizer.Dispose();
        _decoder.Dispose();
    }

    private sealed class Decoder : Module<Tensor, Tensor>
    {
        private readonly Embedding _embedding;
        private readonly ModuleList<Block> _blocks;
        private readonly RmsNorm _norm;
        private readonly Projection _head;

        public Decoder(DecoderSizes sizes, Generator generator)
            : base("decoder")
        {
            _embedding = Embedding_from_pretrained(FirstWeight(sizes.Vocabulary, sizes.Hidden, generator), freeze: false);
            _blocks = ModuleList(Enumerable.Range(0, sizes.Layers).Select(_ => new Block(sizes, generator)).ToArray());
            _norm = new RmsNorm(sizes.Hidden);
            _head = new Projection(sizes.Hidden, sizes.Vocabulary, generator);
            RegisterComponents();
        }

        public override Tensor forward(Tensor tokenIds)
        {
            var (cos, sin) = Rotary(tokenIds.shape[1], _blocks[0].HeadSize, tokenIds.device);
            var hidden = _embedding.forward(tokenIds);
            foreach (var block in _blocks)
                hidden = block.forward(hidden, cos, sin);
            return _head.forward(_norm.forward(hidden));
        }

        private static (Tensor Cos, Tensor Sin) Rotary(long tokens, int headSize, Device device)
        {
            var frequencies = pow(10000.0, arange(0, headSize, 2, float32, device) / -headSize);
            var angles = outer(arange(tokens, float32, device), frequencies);                 // [T, D / 2]
            var both = cat([angles, angles], -1);                                             // [T, D]
            return (both.cos(), both.sin());
        }
    }

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

        public Block(DecoderSizes sizes, Generator generator)
            : base("block")
        {
            (_heads, HeadSize) = (sizes.Heads, sizes.Hidden / sizes.Heads);
            (_attentionNorm, _feedForwardNorm) = (new RmsNorm(sizes.Hidden), new RmsNorm(sizes.Hidden));
            _query = new Projection(sizes.Hidden, sizes.Hidden, generator);
            _key = new Projection(sizes.Hidden, sizes.Hidden, generator);
            _value = new Projection(sizes.Hidden, sizes.Hidden, generator);
            _output = new Projection(sizes.Hidden, sizes.Hidden, generator);
            _gate = new Projection(sizes.Hidden, sizes.FeedForward, generator);
            _up = new Projection(sizes.Hidden, sizes.FeedForward, generator);
            _down = new Projection(sizes.FeedForward, sizes.Hidden, generator);
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
    private static Parameter FirstWeight(long outputs, long inputs, Generator generator) =>
        Parameter(empty(outputs, inputs).normal_(0, 0.02, generator));

    private sealed class Projection : Module<Tensor, Tensor>
    {
        private readonly Parameter _weight;

        public Projection(int inputs, int outputs, Generator generator)
            : base("projection")
        {
            _weight = FirstWeight(outputs, inputs, generator);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => functional.linear(input, _weight);
    }

    private sealed class RmsNorm : Module<Tensor, Tensor>
    {
        private readonly Parameter _weight;

        public RmsNorm(int size)
            : base("norm")
        {
            _weight = Parameter(ones(size));
            RegisterComponents();
        }

        public override Tensor forward(Tensor hidden) =>
            hidden * (hidden.pow(2).mean([-1], keepdim: true) + 1e-5).rsqrt() * _weight;
    }
}
