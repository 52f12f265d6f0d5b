namespace ColossalChat.Text;

/// <summary>Settings that both batch sources share.</summary>
public abstract record BatchOptions : SplitDataOptions
{
    /// <summary>Files whose rows are all for measuring; with them <c>held-out</c> sets nothing aside. Default none.</summary>
    public IReadOnlyList<string> HeldOutFiles { get; init; } = [];

    /// <summary>Times that every row is used. Above 0, parts of an epoch allowed; default 1.</summary>
    public double Epochs { get; init; } = 1;

    /// <summary>Data rows of one iteration, over all ranks (a pair is one row). 1 or more; default 32.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>Longest sequence in tokens; 0 takes the model's context. Default 0.</summary>
    public int MaxTokens { get; init; }

    /// <summary>True puts rows of like length into one batch, which leaves less padding. Default true.</summary>
    public bool GroupByLength { get; init; } = true;

    /// <inheritdoc/>
    public override IEnumerable<string> Problems()
    {
        foreach (var problem in base.Problems())
            yield return problem;
        if (!(Epochs > 0) || !double.IsFinite(Epochs))
            yield return $"epochs is {Epochs}; it must be above 0.";
        if (BatchSize < 1)
            yield return $"batch-size is {BatchSize}; it must be 1 or more.";
        if (MaxTokens is < 0 or 1)
            yield return $"max-tokens is {MaxTokens}; it must be 0 (the model's context), or 2 or more.";
    }
}

/// <summary>Settings of <c>sft-batches</c>.</summary>
public sealed record SftBatchOptions : BatchOptions
{
    /// <summary>
    /// True cuts answers at the longest sequence and counts them (their stop token is not learned); false leaves such
    /// rows out. Default true.
    /// </summary>
    public bool Truncate { get; init; } = true;
}

/// <summary>Settings of <c>preference-batches</c>.</summary>
public sealed record PreferenceBatchOptions : BatchOptions
{
    /// <summary>Pairs train a reward model as a rule, so <c>model</c> is <c>reward</c> by default here.</summary>
    public PreferenceBatchOptions() => Model = "reward";
}
