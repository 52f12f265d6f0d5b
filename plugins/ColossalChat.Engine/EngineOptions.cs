using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Engine;

/// <summary>AdamW (Loshchilov and Hutter, arXiv 1711.05101); section <c>optimizer</c>.</summary>
public sealed record OptimizerOptions : ICheckedOptions
{
    /// <summary>Memory of the mean gradient. 0 to below 1; default 0.9.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Memory of the mean squared gradient. 0 to below 1; default 0.95.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Added to the root of the mean squared gradient. Above 0; default 1e-8.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Share of a matrix that one update at learning rate 1 takes away; vectors never decay. 0 or more; default 0.</summary>
    public double WeightDecay { get; init; }

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Beta1 is not (>= 0 and < 1))
            yield return $"beta1 is {Beta1}; it must be from 0 to below 1.";
        if (Beta2 is not (>= 0 and < 1))
            yield return $"beta2 is {Beta2}; it must be from 0 to below 1.";
        if (Epsilon is not > 0)
            yield return $"epsilon is {Epsilon}; it must be above 0.";
        if (WeightDecay is not >= 0)
            yield return $"weight-decay is {WeightDecay}; it must be 0 or more.";
    }
}

/// <summary>Settings of the training engine; section <c>engine</c> of a trainer.</summary>
public sealed record EngineOptions : ICheckedOptions
{
    /// <summary>The optimiser.</summary>
    public OptimizerOptions Optimizer { get; init; } = new();

    /// <summary>Gradients with a larger L2 norm are scaled down to it. 0 never scales; default 1.</summary>
    public double MaxGradNorm { get; init; } = 1;

    /// <summary>Most padded tokens of one micro-batch; a memory limit, results do not depend on it. 1 or more; default 8192.</summary>
    public int MicroBatchTokens { get; init; } = 8192;

    /// <summary>How parameters are shared out over ranks: none (one rank), ddp, zero1, zero2, zero3 or gemini; default none.</summary>
    [DefaultPlugin("none")]
    public PluginChoice<IShardingStrategy>? Sharding { get; init; } = new("none");

    /// <summary>How the ranks talk to each other.</summary>
    [DefaultPlugin("auto")]
    public PluginChoice<ICollectiveFactory> Collective { get; init; } = new("auto");

    /// <summary>Every so manieth block keeps its input only and computes again in backward: 0 none, 1 all; default 0.</summary>
    public int ActivationCheckpointing { get; init; }

    /// <summary>Threads of one rank; 0 takes the cores, shared among the ranks. 0 or more; default 0.</summary>
    public int Threads { get; init; }

    /// <summary>Folder for states on disk; empty takes the run's. Default empty.</summary>
    public string OffloadFolder { get; init; } = "";

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (ActivationCheckpointing < 0)
            yield return $"activation-checkpointing is {ActivationCheckpointing}; it must be 0 (none), 1 (all blocks) or n (every n-th).";
        if (Threads < 0)
            yield return $"threads is {Threads}; it must be 0 (the cores, shared among the ranks) or more.";
        if (MaxGradNorm is not >= 0)
            yield return $"max-grad-norm is {MaxGradNorm}; it must be 0 (off) or more.";
        if (MicroBatchTokens < 1)
            yield return $"micro-batch-tokens is {MicroBatchTokens}; it must be 1 or more.";
    }
}
