using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>Settings of the rollout role; section <c>roles.rollout</c>.</summary>
public sealed record RolloutOptions : ICheckedOptions
{
    /// <summary>Name of the writing model in the <c>models</c> section; default policy.</summary>
    public string Model { get; init; } = "policy";

    /// <summary>Most tokens of one answer. 1 or more; default 64.</summary>
    public int MaxNewTokens { get; init; } = 64;

    /// <summary>How tokens are drawn, in training and in measuring alike.</summary>
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>Ids that end an answer besides those of chat template and tokenizer.</summary>
    public IReadOnlyList<int> StopIds { get; init; } = [];

    /// <summary>Texts that end an answer.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>Most padded tokens in one forward pass when log-probabilities are taken again. 1 or more; default 8192.</summary>
    public int MicroBatchTokens { get; init; } = 8192;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (MaxNewTokens < 1)
            yield return $"max-new-tokens is {MaxNewTokens}; it must be 1 or more.";
        if (MicroBatchTokens < 1)
            yield return $"micro-batch-tokens is {MicroBatchTokens}; it must be 1 or more.";
    }
}

/// <summary>
/// Writes answers with the policy, in the trainer's process with the very model that it updates. Where answers may be stale it
/// has a copy instead, and takes new weights between two tokens of a running batch.
/// </summary>
public sealed class RolloutRole : IInterruptibleRollout
{
    private readonly RolloutOptions _options;
    private readonly INodeContext _context;
    private readonly IBorrowedModel _policy;
    private readonly int[] _stopIds;
    private readonly WeightsReader _weights;

    /// <summary>Borrows the policy.</summary>
    public RolloutRole(RolloutOptions options, INodeContext context)
    {
        (_options, _context) = (options, context);
        _policy = WeightsReader.Borrow(options.Model, context);
        _weights = new WeightsReader(_policy, options.Model, context);
        var text = _policy.Text;
        _stopIds = [.. options.StopIds.Concat(text.Template.StopIds).Concat(text.Tokenizer.EosIds).Distinct()];
    }

    // What these cut away is missing from the rollout's own log-probabilities, but not from the trainer's.
    private bool IsTruncated => _options.Sampling is not { TopK: 0, TopP: 1, MinP: 0, RepetitionPenalty: 1 };

    /// <inheritdoc/>
    public Rollout Generate(PromptBatch prompts, CancellationToken cancel)
    {
        _weights.RequireWhole();
        using var active = _policy.Activate();
        return Write(prompts, _policy.Generator.Generate(Requests(prompts), cancel), [_weights.Version], cancel);
    }

    /// <inheritdoc/>
    public Rollout Generate(PromptBatch prompts, IWeightInbox inbox, CancellationToken cancel)
    {
        // Log-probabilities of a truncated distribution are taken again afterwards, when only the newest weights are left.
        if (IsTruncated)
            return Generate(prompts, cancel);
        _weights.RequireWhole();
        using var active = _policy.Activate();
        var versions = new List<long> { _weights.Version };
        var answers = _policy.Generator.Generate(Requests(prompts), HasNewWeights, cancel);
        return Write(prompts, answers, versions, cancel);

        bool HasNewWeights()
        {
            if (inbox.Take(_options.Model) is not { } publication || !_weights.Accept(publication, cancel))
                return false;
            versions.Add(_weights.Version);
            return true;
        }
    }

    private Rollout Write(PromptBatch prompts, IReadOnlyList<GeneratedText> answers, IReadOnlyList<long> versions, CancellationToken cancel)
    {
        var tokens = Ragged.FromRows(answers.Select(answer => answer.Ids));
        var rollout = new Rollout(
            prompts,
            tokens,
            Ragged.FromRows(answers.Select(answer => answer.LogProbs)),
            Filled(tokens, true),
            Ragged.FromRows(answers.Select(answer => VersionsOf(answer, versions))),
            [.. answers.Select(answer => answer.FinishReason)])
        {
            Temperature = _options.Sampling.Temperature > 0 ? _options.Sampling.Temperature : 1,
        };
        if (!IsTruncated)
            return rollout;
        var logProbs = SequenceScoring.LogProbs(
            _policy.Body, SequenceScoring.ResponsesOf(rollout), rollout.Temperature, _options.MicroBatchTokens, cancel);
        return rollout with { LogProbs = new Ragged<float>(tokens.Offsets, logProbs) };
    }

    /// <inheritdoc/>
    public void LoadWeights(WeightsPublication publication, CancellationToken cancel) => _weights.Accept(publication, cancel);

    /// <inheritdoc/>
    public void Dispose() => _policy.Dispose();

    private static long[] VersionsOf(GeneratedText answer, IReadOnlyList<long> versions) => answer.Changes.Length > 0
        ? [.. answer.Changes.Select(change => versions[change])]
        : [.. Enumerable.Repeat(versions[0], answer.Ids.Length)];

    private static Ragged<T> Filled<T>(Ragged<int> shape, T value)
    {
        var values = new T[shape.Values.Length];
        Array.Fill(values, value);
        return new Ragged<T>(shape.Offsets, values);
    }

    private GenerationRequest[] Requests(PromptBatch prompts)
    {
        // Measurements draw the same numbers at every iteration, so that only the weights differ.
        var iteration = prompts.Batch.Purpose == BatchPurpose.Evaluate ? 0 : prompts.Batch.Iteration;
        return
        [
            .. Enumerable.Range(0, prompts.Tokens.Rows).Select(row => new GenerationRequest
            {
                Prompt = prompts.Tokens[row],
                MaxNewTokens = _options.MaxNewTokens,
                Sampling = _options.Sampling,
                StopIds = _stopIds,
                StopStrings = _options.StopStrings,
                Key = new RandomKey(
                    _context.Seed, RandomPurpose.Sampling, iteration, prompts.PromptIds[row], prompts.SampleIndexes[row]),
            }),
        ];
    }
}
