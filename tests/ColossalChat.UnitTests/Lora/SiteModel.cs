using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Lora;

/// <summary>The smallest thing with linear sites: each block is h + o(tanh(q(h)) * v(h)), without attention.</summary>
internal sealed class SiteModel : ICausalModel
{
    public SiteModel(int vocabulary = 11, int hidden = 8, int layers = 2, bool tiedHead = false, ScalarType precision = ScalarType.Float32)
    {
        Shape = new ModelShape("tiny", vocabulary, hidden, layers, 1, 1, hidden, 64);
        Precision = precision;
        var embedding = new ParameterSlot("model.embed_tokens.weight", Wave([vocabulary, hidden], 1, precision));
        Embedding = new Part([embedding], []);
        Blocks = [.. Enumerable.Range(0, layers).Select(layer => new Block($"model.layers.{layer}.self_attn", hidden, layer, precision))];
        FinalNorm = new Part([], []);
        LanguageHead = new Head(tiedHead ? embedding : new ParameterSlot("lm_head.weight", Wave([vocabulary, hidden], 2, precision)));
    }

    public ModelShape Shape { get; }

    public Device Device => CPU;

    public ScalarType Precision { get; }

    public IModelPart Embedding { get; }

    public IReadOnlyList<IModelBlock> Blocks { get; }

    public IOutputHead LanguageHead { get; }

    public IModelPart FinalNorm { get; }

    public Tensor Embed(Tensor tokenIds) => Embedding.Parameters[0].Value[tokenIds];

    public Tensor Normalise(Tensor hidden) => hidden;

    public IKeyValueCache NewCache(int rows, int tokens) => throw new NotSupportedException("The tiny model does not generate.");

    /// <summary>[T] ids to [T, V] logits.</summary>
    public Tensor Logits(params long[] ids)
    {
        using var scope = NewDisposeScope();
        var hidden = Embed(tensor(ids).unsqueeze(0));
        foreach (var block in Blocks)
            hidden = block.Forward(hidden, new SequenceLayout([ids.Length], ids.Length));
        return LanguageHead.Forward(hidden.squeeze(0)).MoveToOuterDisposeScope();
    }

    public IEnumerable<ParameterSlot> AllParameters() =>
        Embedding.Parameters.Concat(Blocks.SelectMany(block => block.Parameters)).Concat(LanguageHead.Parameters).Distinct();

    public void Dispose()
    {
        foreach (var slot in AllParameters())
            slot.Value.Dispose();
    }

    private static Tensor Wave(long[] shape, double phase, ScalarType precision)
    {
        using var scope = NewDisposeScope();
        return (arange(shape[0] * shape[1], float32) * 0.7 + phase).sin().mul(0.4).reshape(shape).to(precision).DetachFromDisposeScope();
    }

    private sealed class Part(IReadOnlyList<ParameterSlot> parameters, IReadOnlyList<ILinearSite> linears) : IModelPart
    {
        public IReadOnlyList<ParameterSlot> Parameters => parameters;

        public IReadOnlyList<ILinearSite> Linears => linears;
    }

    private sealed class Site(string name, ParameterSlot weight) : ILinearSite
    {
        public string Name => name;

        public ParameterSlot Weight => weight;

        public ParameterSlot? Bias => null;

        public ILinearKernel? Kernel { get; set; }

        public ILinearAdapter? Adapter { get; set; }

        public Tensor Forward(Tensor input, SequenceLayout? layout = null)
        {
            var output = nn.functional.linear(input, Weight.Value);
            return (layout is null ? Adapter?.Forward(input, output) : Adapter?.Forward(input, output, layout)) ?? output;
        }
    }

    private sealed class Block : IModelBlock
    {
        private readonly Site[] _sites;

        public Block(string name, int hidden, int layer, ScalarType precision)
        {
            _sites = [.. ((string[])["q_proj", "k_proj", "v_proj", "o_proj"]).Select((site, i) =>
                new Site($"{name}.{site}", new ParameterSlot($"{name}.{site}.weight", Wave([hidden, hidden], (10 * layer) + i, precision))))];
        }

        public IReadOnlyList<ParameterSlot> Parameters => [.. _sites.Select(site => site.Weight)];

        public IReadOnlyList<ILinearSite> Linears => _sites;

        public Tensor Forward(Tensor hidden, SequenceLayout layout) =>
            hidden + _sites[3].Forward(_sites[0].Forward(hidden, layout).tanh() * _sites[2].Forward(hidden, layout) + _sites[1].Forward(hidden, layout), layout);

        public Tensor Forward(Tensor hidden, IKeyValueCache cache, CacheStep step) =>
            throw new NotSupportedException("The tiny model does not generate.");
    }

    private sealed class Head(ParameterSlot weight) : IOutputHead
    {
        private readonly Site _site = new("lm_head", weight);

        public IReadOnlyList<ParameterSlot> Parameters => [_site.Weight];

        public IReadOnlyList<ILinearSite> Linears => [_site];

        public Tensor Forward(Tensor hidden) => _site.Forward(hidden);
    }
}
