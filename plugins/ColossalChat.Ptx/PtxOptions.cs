using ColossalChat.Contracts;

namespace ColossalChat.Ptx;

/// <summary>Options of <c>ptx</c>.</summary>
public sealed record PtxOptions : ICheckedOptions
{
    /// <summary>
    /// Factor on the loss; the trained model's own loss keeps factor 1. 0 only measures what the text costs. 0 or more;
    /// default 0.5.
    /// </summary>
    public double Coefficient { get; init; } = 0.5;

    /// <summary>
    /// Plain text to keep predicting: <c>.txt</c> (paragraphs apart by a blank line) or <c>.jsonl</c> (a <c>text</c> in
    /// every row). Give either this or <see cref="Data"/>.
    /// </summary>
    public IReadOnlyList<string> Files { get; init; } = [];

    /// <summary>
    /// Instruction data instead of plain text: a batch source such as <c>{ use = sft-batches, files = [...] }</c>, whose
    /// iterations are walked through again and again.
    /// </summary>
    public PluginChoice<IBatchSource>? Data { get; init; }

    /// <summary>What happens to a malformed row of <see cref="Files"/>. Default skip: left out, counted and reported.</summary>
    public BadRows OnBadRow { get; init; } = BadRows.Skip;

    /// <summary>
    /// The trained model's name in the <c>models</c> section: its tokenizer cuts the text, its context bounds
    /// <see cref="MaxTokens"/>. Default <c>policy</c>.
    /// </summary>
    public string Model { get; init; } = "policy";

    /// <summary>Rows of plain text in each optimiser step. 1 or more; default 16.</summary>
    public int RowsPerStep { get; init; } = 16;

    /// <summary>Longest row of plain text in tokens; longer paragraphs are cut into several. 2 to the model's context; default 256.</summary>
    public int MaxTokens { get; init; } = 256;

    /// <summary>Most padded tokens of one micro-batch; a memory limit, results do not depend on it. 1 or more; default 8192.</summary>
    public int MicroBatchTokens { get; init; } = 8192;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Coefficient is not (>= 0 and < double.PositiveInfinity))
            yield return $"coefficient is {Coefficient}; it must be 0 (measures only) or more.";
        if (Coefficient > 0 && Files.Count > 0 == Data is not null)
            yield return $"files and data are both {(Data is null ? "absent" : "given")}; give one of them: files = [text.txt], or data {{ use = sft-batches, ... }} with instruction data.";
        if (RowsPerStep < 1)
            yield return $"rows-per-step is {RowsPerStep}; it must be 1 or more.";
        if (MaxTokens < 2)
            yield return $"max-tokens is {MaxTokens}; it must be 2 or more.";
        if (MicroBatchTokens < 1)
            yield return $"micro-batch-tokens is {MicroBatchTokens}; it must be 1 or more.";
    }
}
