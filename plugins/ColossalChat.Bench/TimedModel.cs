using System.Diagnostics;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>A model that notes how long its parts take; it computes nothing of its own.</summary>
internal sealed class TimedModel : ICausalModel
{
    private readonly ICausalModel _inner;

    /// <summary>Wraps a model; disposing it disposes the model.</summary>
    public TimedModel(ICausalModel inner)
    {
        _inner = inner;
        Blocks = [.. inner.Blocks.Select(block => new TimedBlock(block, this))];
        LanguageHead = new TimedHead(inner.LanguageHead, this);
    }

    /// <summary>Seconds in blocks that took several tokens of a row: prompts, or whole sequences.</summary>
    public double ManySeconds { get; private set; }

    /// <summary>Seconds in blocks that took one token of each row.</summary>
    public double SingleSeconds { get; private set; }

    /// <summary>Seconds in the language head.</summary>
    public double HeadSeconds { get; private set; }

    /// <summary>Seconds in the embedding.</summary>
    public double EmbedSeconds { get; private set; }

    /// <inheritdoc/>
    public ModelShape Shape => _inner.Shape;

    /// <inheritdoc/>
    public Device Device => _inner.Device;

    /// <inheritdoc/>
    public ScalarType Precision => _inner.Precision;

    /// <inheritdoc/>
    public IModelPart Embedding => _inner.Embedding;

    /// <inheritdoc/>
    public IReadOnlyList<IModelBlock> Blocks { get; }

    /// <inheritdoc/>
    public IOutputHead LanguageHead { get; }

    /// <inheritdoc/>
    public IModelPart FinalNorm => _inner.FinalNorm;

    /// <summary>Starts all clocks at 0.</summary>
    public void Reset() => (ManySeconds, SingleSeconds, HeadSeconds, EmbedSeconds) = (0, 0, 0, 0);

    /// <inheritdoc/>
    public Tensor Embed(Tensor tokenIds)
    {
        var start = Stopwatch.GetTimestamp();
        var result = _inner.Embed(tokenIds);
        EmbedSeconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
        return result;
    }

    /// <inheritdoc/>
    public Tensor Normalise(Tensor hidden) => _inner.Normalise(hidden);

    /// <inheritdoc/>
    public IKeyValueCache NewCache(int rows, int tokens) => _inner.NewCache(rows, tokens);

    /// <inheritdoc/>
    public void Dispose() => _inner.Dispose();

    private sealed class TimedBlock(IModelBlock inner, TimedModel owner) : IModelBlock
    {
        public IReadOnlyList<ParameterSlot> Parameters => inner.Parameters;

        public IReadOnlyList<ILinearSite> Linears => inner.Linears;

        public Tensor Forward(Tensor hidden, SequenceLayout layout)
        {
            var start = Stopwatch.GetTimestamp();
            var result = inner.Forward(hidden, layout);
            owner.ManySeconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
            return result;
        }

        public Tensor Forward(Tensor hidden, IKeyValueCache cache, CacheStep step)
        {
            var isSingle = hidden.shape[1] == 1;
            var start = Stopwatch.GetTimestamp();
            var result = inner.Forward(hidden, cache, step);
            var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (isSingle)
                owner.SingleSeconds += seconds;
            else
                owner.ManySeconds += seconds;
            return result;
        }
    }

    private sealed class TimedHead(IOutputHead inner, TimedModel owner) : IOutputHead
    {
        public IReadOnlyList<ParameterSlot> Parameters => inner.Parameters;

        public IReadOnlyList<ILinearSite> Linears => inner.Linears;

        public Tensor Forward(Tensor hidden)
        {
            var start = Stopwatch.GetTimestamp();
            var result = inner.Forward(hidden);
            owner.HeadSeconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
            return result;
        }
    }
}
