using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Rlhf.Support;

/// <summary>The smallest decoder that behaves like one: embedding, one causal attention block, untied head.</summary>
internal sealed class TinyModel : ICausalModel
{
    private readonly Block _block;
    private readonly Part _embedding;
    private readonly Part _norm;
    private readonly HeadPart _head;

    public TinyModel(int vocabulary = 11, int hidden = 8, ulong seed = 1, ScalarType precision = ScalarType.Float32, int context = 64, double attention = 1)
    {
        Shape = new ModelShape("tiny", vocabulary, hidden, 1, 1, 1, hidden, context);
        Precision = precision;
        _embedding = new Part(Slot("embed", [vocabulary, hidden], seed, 1, 1.0));
        _norm = new Part(new ParameterSlot("norm", ones([hidden], precision).DetachFromDisposeScope()));
        _block = new Block([.. "qkvo".Select((name, i) => Slot($"block.{name}", [hidden, hidden], seed, i + 2, 0.5))], attention);
        _head = new HeadPart(this, [_norm.Parameters[0], Slot("head", [vocabulary, hidden], seed, 9, 0.15)]);
    }

    public ModelShape Shape { get; }

    public Device Device => CPU;

    public ScalarType Precision { get; }

    public IModelPart Embedding => _embedding;

    public IReadOnlyList<IModelBlock> Blocks => [_block];

    public IOutputHead LanguageHead => _head;

    public IModelPart FinalNorm => _norm;

    public Tensor Embed(Tensor tokenIds)
    {
        using var scope = NewDisposeScope();
        var rows = _embedding.Parameters[0].Value.index_select(0, tokenIds.flatten());
        return rows.view(tokenIds.shape[0], tokenIds.shape[1], -1).MoveToOuterDisposeScope();
    }

    public Tensor Normalise(Tensor hidden) => hidden * _norm.Parameters[0].Value;

    public IKeyValueCache NewCache(int rows, int tokens) => throw new NotSupportedException();

    public void Dispose()
    {
        foreach (var slot in _embedding.Parameters.Concat(_block.Parameters).Concat(_head.Parameters))
            slot.Value.Dispose();
    }

    private ParameterSlot Slot(string name, long[] shape, ulong seed, int index, double scale)
    {
        var key = new RandomKey(seed, RandomPurpose.Initialisation, 0, index);
        var values = Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b)).Select(i => (float)(key.Normal(i) * scale)).ToArray();
        using var scope = NewDisposeScope();
        return new ParameterSlot(name, tensor(values, shape).to(Precision).DetachFromDisposeScope());
    }

    private sealed class Part(params ParameterSlot[] slots) : IModelPart
    {
        public IReadOnlyList<ParameterSlot> Parameters { get; } = slots;

        public IReadOnlyList<ILinearSite> Linears => [];
    }

    private sealed class Block(ParameterSlot[] slots, double attention) : IModelBlock
    {
        public IReadOnlyList<ParameterSlot> Parameters { get; } = slots;

        public IReadOnlyList<ILinearSite> Linears => [];

        public Tensor Forward(Tensor hidden, SequenceLayout layout)
        {
            using var scope = NewDisposeScope();
            var (q, k, v) = (Linear(hidden, 0), Linear(hidden, 1), Linear(hidden, 2));
            var scores = attention * q.matmul(k.transpose(1, 2)) / Math.Sqrt(hidden.shape[2]);
            var isFuture = ones([layout.PaddedLength, layout.PaddedLength], @bool).triu(1);
            var weights = scores.masked_fill(isFuture, -1e4).softmax(-1);
            return (hidden + Linear(weights.matmul(v), 3)).MoveToOuterDisposeScope();
        }

        public Tensor Forward(Tensor hidden, IKeyValueCache cache, CacheStep step) => throw new NotSupportedException();

        private Tensor Linear(Tensor input, int index) => nn.functional.linear(input, Parameters[index].Value);
    }

    private sealed class HeadPart(TinyModel model, ParameterSlot[] slots) : IOutputHead
    {
        public IReadOnlyList<ParameterSlot> Parameters { get; } = slots;

        public IReadOnlyList<ILinearSite> Linears => [];

        public Tensor Forward(Tensor hidden)
        {
            using var scope = NewDisposeScope();
            return nn.functional.linear(model.Normalise(hidden), Parameters[1].Value).MoveToOuterDisposeScope();
        }
    }
}
