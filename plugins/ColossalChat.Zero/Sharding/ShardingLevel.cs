namespace ColossalChat.Zero;

/// <summary>What is shared out over the ranks; each level includes those before it. Rajbhandari et al., arXiv 1910.02054.</summary>
internal enum ShardingLevel
{
    /// <summary>Every rank holds everything.</summary>
    Nothing,

    /// <summary>Master weights and optimiser states (ZeRO-1).</summary>
    States,

    /// <summary>And gradients (ZeRO-2).</summary>
    Gradients,

    /// <summary>And working weights (ZeRO-3).</summary>
    Weights,
}
