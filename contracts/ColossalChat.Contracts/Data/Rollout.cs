namespace ColossalChat.Contracts;

/// <summary>Prompts of one batch. Every list has one entry a row.</summary>
/// <param name="Batch">The batch these prompts begin.</param>
/// <param name="Tokens">Prompt token ids, BOS and template included.</param>
/// <param name="PromptIds">Which prompt of its set a row came from; rows of one group share it.</param>
/// <param name="SampleIndexes">Which answer to that prompt a row will be, from 0.</param>
/// <param name="DataJson">The data row's own fields as a JSON object (reference answer, language, task); rewards read them.</param>
/// <param name="TokenizerHash">The tokenizer that made the ids.</param>
public sealed record PromptBatch(
    BatchId Batch,
    Ragged<int> Tokens,
    IReadOnlyList<long> PromptIds,
    IReadOnlyList<int> SampleIndexes,
    IReadOnlyList<string> DataJson,
    string TokenizerHash)
{
    /// <summary>
    /// The conversations behind the ids, one a row: a scorer with another tokenizer renders them anew. Null
    /// when the source has none.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<ChatMessage>>? Conversations { get; init; }
}

/// <summary>Why an answer ended.</summary>
public enum FinishReason
{
    /// <summary>A stop token or stop string came.</summary>
    Stop,

    /// <summary>The token limit or the context was full.</summary>
    Length,

    /// <summary>The caller gave up.</summary>
    Cancelled,
}

/// <summary>What the policy wrote for one batch; one row a sequence, response tokens only.</summary>
/// <param name="Prompts">What it answered.</param>
/// <param name="Tokens">Response token ids, the stop token included when one came.</param>
/// <param name="LogProbs">
/// Nats, of each token at <see cref="Temperature"/>; shape of <paramref name="Tokens"/>. Exactly the distribution it was drawn from, except
/// that what top-k, top-p, min-p or a repetition penalty cut away is left in, so that ratios and divergences stay well defined.
/// </param>
/// <param name="IsTarget">True where a token counts in losses; shape of <paramref name="Tokens"/>.</param>
/// <param name="WeightVersions">The policy weights that wrote each token; shape of <paramref name="Tokens"/>.</param>
/// <param name="FinishReasons">Why each row ended.</param>
public sealed record Rollout(
    PromptBatch Prompts,
    Ragged<int> Tokens,
    Ragged<float> LogProbs,
    Ragged<bool> IsTarget,
    Ragged<long> WeightVersions,
    IReadOnlyList<FinishReason> FinishReasons)
{
    /// <summary>
    /// Temperature of <see cref="LogProbs"/>: logits were divided by it. Whoever compares log-probabilities with these (reference,
    /// trainer) divides by it too. Above 0; 1 for greedy answers.
    /// </summary>
    public double Temperature { get; init; } = 1;

    /// <summary>The batch.</summary>
    public BatchId Batch => Prompts.Batch;

    /// <summary>Number of sequences.</summary>
    public int Rows => Tokens.Rows;

    /// <summary>Prompt and response of one row, joined.</summary>
    public int[] Sequence(int row) => [.. Prompts.Tokens[row].Span, .. Tokens[row].Span];

    /// <summary>Prompt and response of every row, joined.</summary>
    public Ragged<int> Sequences() => Ragged.FromRows(Enumerable.Range(0, Rows).Select(Sequence));
}
