using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;

namespace ColossalChat.Rewards;

/// <summary>Settings of the reward model role; section <c>roles.reward</c>.</summary>
public sealed record RewardModelOptions : ICheckedOptions
{
    /// <summary>Name of the judging model in the <c>models</c> section; it needs a value head. Default reward.</summary>
    public string Model { get; init; } = "reward";

    /// <summary>Most padded tokens in one forward pass. 1 or more; default 8192.</summary>
    public int MicroBatchTokens { get; init; } = 8192;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (MicroBatchTokens < 1)
            yield return $"micro-batch-tokens is {MicroBatchTokens}; it must be 1 or more.";
    }
}

/// <summary>Scores whole sequences with a trained model: the value at the last token.</summary>
public sealed class RewardModelRole : IScoringRole
{
    private readonly RewardModelOptions _options;
    private readonly INodeContext _context;
    private readonly IBorrowedModel _model;
    private readonly IOutputHead _head;

    /// <summary>Borrows the reward model.</summary>
    public RewardModelRole(RewardModelOptions options, INodeContext context)
    {
        (_options, _context) = (options, context);
        _model = context.Resolve<IModelStore>("models").Borrow(options.Model);
        if (_model.ValueHead is not { } head)
        {
            _model.Dispose();
            throw new UserErrorException($"Model {options.Model} has no value head; set models.{options.Model}.head = value.");
        }

        _head = head;
    }

    /// <inheritdoc/>
    public ScoreKind Kind => ScoreKind.Rewards;

    /// <inheritdoc/>
    public Scores Score(Rollout rollout, CancellationToken cancel)
    {
        var sequences = Sequences(rollout);
        var context = _model.Body.Shape.ContextLength;
        var fitting = Enumerable.Range(0, rollout.Rows).Where(row => sequences.LengthOf(row) <= context).ToArray();
        var scores = Judge(sequences.Pick(fitting), cancel);

        // A sequence that does not fit is not cut: its end, the part that is judged, would be missing.
        var values = new float[rollout.Rows];
        for (var i = 0; i < fitting.Length; i++)
            values[fitting[i]] = scores[i];
        var result = Scores.Of(Kind, Ragged.Scalars<float>(values));
        var outcomes = result.Outcomes.ToArray();
        var reasons = result.Reasons.ToArray();
        foreach (var row in Enumerable.Range(0, rollout.Rows).Except(fitting))
        {
            outcomes[row] = ScoreOutcome.Failed;
            reasons[row] = $"the sequence has {sequences.LengthOf(row)} tokens; model {_options.Model} takes {context}";
        }

        return result with { Outcomes = outcomes, Reasons = reasons };
    }

    /// <inheritdoc/>
    public void LoadWeights(WeightsPublication publication, CancellationToken cancel)
    {
        // The reward model never changes.
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();

    private float[] Judge(Ragged<int> sequences, CancellationToken cancel)
    {
        using var active = _model.Activate();
        var none = new Ragged<bool>(sequences.Offsets, new bool[sequences.Values.Length]);
        return SequenceScoring.Values(
            _model.Body,
            _head,
            new Experience(sequences, none, new Dictionary<string, Ragged<float>>()),
            HeadPlacement.LastToken,
            _options.MicroBatchTokens,
            cancel);
    }

    private Ragged<int> Sequences(Rollout rollout)
    {
        var (own, hash) = (_model.Text.Tokenizer, rollout.Prompts.TokenizerHash);
        if (own.Hash == hash)
            return rollout.Sequences();

        // Ids of another tokenizer mean other texts here: go through the text, rendered as this model's training data was.
        var theirs = _context.Tokenizer(hash);
        return Ragged.FromRows(Enumerable.Range(0, rollout.Rows).Select(row =>
        {
            IReadOnlyList<ChatMessage> turns = rollout.Prompts.Conversations?[row]
                ?? [new ChatMessage(ChatRole.User, theirs.Decode(rollout.Prompts.Tokens[row].ToArray()))];
            var answer = new ChatMessage(ChatRole.Assistant, theirs.Decode(rollout.Tokens[row].ToArray()));
            var chat = _model.Text.Template.Encode([.. turns, answer], forAnswer: false);

            // The last target is the stop token; an answer that was cut off has none.
            return rollout.FinishReasons[row] == FinishReason.Stop ? chat.Ids : chat.Ids[..Array.LastIndexOf(chat.IsTarget, true)];
        }));
    }
}
