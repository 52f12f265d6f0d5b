namespace ColossalChat.Contracts;

/// <summary>How tokens are drawn. The order is: repetition penalty, temperature, top-k, top-p, min-p.</summary>
public sealed record SamplingOptions : ICheckedOptions
{
    /// <summary>0 takes the likeliest token; otherwise logits are divided by it. 0 to 10; default 1.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>Keeps the k likeliest tokens; 0 keeps all. Default 0.</summary>
    public int TopK { get; init; }

    /// <summary>Keeps the smallest set of likeliest tokens whose probabilities reach p. Above 0, at most 1; default 1.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Keeps tokens at least this share as likely as the likeliest. 0 to below 1; default 0.</summary>
    public double MinP { get; init; }

    /// <summary>Divides positive and multiplies negative logits of tokens already present. 0.1 to 10; default 1 (off).</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Temperature is not (>= 0 and <= 10))
            yield return $"temperature is {Temperature}; it must be from 0 to 10.";
        if (TopK < 0)
            yield return $"top-k is {TopK}; it must be 0 (off) or more.";
        if (TopP is not (> 0 and <= 1))
            yield return $"top-p is {TopP}; it must be above 0 and at most 1.";
        if (MinP is not (>= 0 and < 1))
            yield return $"min-p is {MinP}; it must be from 0 to below 1.";
        if (RepetitionPenalty is not (>= 0.1 and <= 10))
            yield return $"repetition-penalty is {RepetitionPenalty}; it must be from 0.1 to 10.";
    }
}

/// <summary>One answer wanted.</summary>
public sealed record GenerationRequest
{
    /// <summary>Prompt ids, BOS and template included. At least one.</summary>
    public required ReadOnlyMemory<int> Prompt { get; init; }

    /// <summary>Most tokens to write; the model's context may end it earlier. 1 or more.</summary>
    public required int MaxNewTokens { get; init; }

    /// <summary>How tokens are drawn.</summary>
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>Ids that end the answer; the id itself is part of it.</summary>
    public IReadOnlyList<int> StopIds { get; init; } = [];

    /// <summary>Texts that end the answer; none of the text from a match on is given out.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>Key of this answer's random numbers; the position is the index of the new token.</summary>
    public RandomKey Key { get; init; }
}

/// <summary>One new token.</summary>
/// <param name="Id">The token.</param>
/// <param name="LogProb">Nats, under exactly the distribution it was drawn from (greedy: under the unmodified model).</param>
/// <param name="Text">Text that became complete with it; may be empty.</param>
/// <param name="FinishReason">Set on the last one.</param>
public readonly record struct TokenEvent(int Id, float LogProb, string Text, FinishReason? FinishReason);

/// <summary>A whole answer.</summary>
/// <param name="Ids">New tokens.</param>
/// <param name="LogProbs">One a token, as in <see cref="TokenEvent"/>.</param>
/// <param name="Text">Text of the answer, without what a stop string cut off.</param>
/// <param name="FinishReason">Why it ended.</param>
public sealed record GeneratedText(int[] Ids, float[] LogProbs, string Text, FinishReason FinishReason)
{
    /// <summary>One a token: how often the weights had changed before it was drawn; empty when nobody changed them.</summary>
    public int[] Changes { get; init; } = [];
}

/// <summary>
/// Writes text with a model. Many requests may be in flight; how they are batched is the generator's own affair.
/// Rollouts and servers use the same one.
/// </summary>
public interface ITextGenerator
{
    /// <summary>Most tokens of prompt and answer together.</summary>
    int ContextLength { get; }

    /// <summary>Streams one answer. Giving up the enumeration or cancelling frees its place.</summary>
    /// <exception cref="UserErrorException">The prompt is empty or longer than the context.</exception>
    IAsyncEnumerable<TokenEvent> Submit(GenerationRequest request, CancellationToken cancel);

    /// <summary>
    /// Answers a whole batch on the caller's thread. The same requests in the same order give the same bits.
    /// </summary>
    IReadOnlyList<GeneratedText> Generate(IReadOnlyList<GenerationRequest> requests, CancellationToken cancel);

    /// <summary>
    /// The same, with weights that may change on the way. What is written stays; the tokens after a change are drawn as if
    /// the new weights had read prompt and answer from the start. The default never asks.
    /// </summary>
    /// <param name="requests">Answers wanted.</param>
    /// <param name="changed">Asked on the caller's thread between two tokens; it may change the weights, and gives true when it did.</param>
    /// <param name="cancel">Ends it.</param>
    /// <returns>Answers with <see cref="GeneratedText.Changes"/>.</returns>
    IReadOnlyList<GeneratedText> Generate(IReadOnlyList<GenerationRequest> requests, Func<bool> changed, CancellationToken cancel) =>
        Generate(requests, cancel);
}

/// <summary>Probabilities of given ids.</summary>
public interface ILanguageModel
{
    /// <summary>Most tokens of one sequence.</summary>
    int ContextLength { get; }

    /// <summary>Log-probability in nats of every id after the first, given those before it; row i has length - 1 values.</summary>
    Ragged<float> LogProbs(Ragged<int> sequences, CancellationToken cancel);

    /// <summary>Log-probabilities in nats of every possible next id. [VocabularySize].</summary>
    float[] NextLogProbs(ReadOnlyMemory<int> ids, CancellationToken cancel);
}
