using ColossalChat.Contracts;

namespace ColossalChat.Lora;

/// <summary>Options of <c>lora</c>.</summary>
public sealed record LoraOptions : ICheckedOptions
{
    /// <summary>Rank of each adapter, r. 1 to 1024; default 8.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>The adapter's part is multiplied by alpha / rank. Above 0; default 16.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>
    /// Share of the adapter's inputs that is dropped in training. 0 to below 1; default 0. Which ones follows from the
    /// run's seed, the layer, its weights, the row's tokens and the position, so micro-batch-tokens does not change them.
    /// The one exception is an adapter on <c>lm_head</c>, whose inputs belong to no row.
    /// </summary>
    public double Dropout { get; init; }

    /// <summary>
    /// Linear layers that get an adapter: an ending of the layer's name made of whole parts (<c>q_proj</c>,
    /// <c>self_attn.q_proj</c>), a pattern with <c>*</c> and <c>?</c> over the whole name, or <c>all-linear</c> for every
    /// linear layer of the blocks. Default: the four attention projections.
    /// </summary>
    public IReadOnlyList<string> TargetPatterns { get; init; } = ["q_proj", "k_proj", "v_proj", "o_proj"];

    /// <summary>Name or folder of the base model, written into adapter_config.json for other tools. Default empty.</summary>
    public string BaseModel { get; init; } = "";

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Rank is < 1 or > 1024)
            yield return $"rank is {Rank}; it must be from 1 to 1024.";
        if (Alpha is not (> 0 and < double.PositiveInfinity))
            yield return $"alpha is {Alpha}; it must be above 0.";
        if (Dropout is not (>= 0 and < 1))
            yield return $"dropout is {Dropout}; it must be from 0 to below 1.";
        if (TargetPatterns.Count == 0 || TargetPatterns.Any(string.IsNullOrWhiteSpace))
            yield return "target-patterns is empty or has an empty entry; name at least one layer, such as q_proj.";
    }
}
