using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>Settings of the critic role; section <c>roles.critic</c>.</summary>
public sealed record CriticOptions : ICheckedOptions
{
    /// <summary>Name of the value model in the <c>models</c> section; default critic.</summary>
    public string Model { get; init; } = "critic";

    /// <summary>Most padded tokens in one forward pass. 1 or more; default 8192.</summary>
    public int MicroBatchTokens { get; init; } = 8192;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (MicroBatchTokens < 1)
            yield return $"micro-batch-tokens is {MicroBatchTokens}; it must be 1 or more.";
    }
}

/// <summary>
/// Expected returns. The value of a response token is read one position before it, in the state in which the token is
/// chosen: the same position as its log-probability.
/// </summary>
public sealed class CriticRole : IScoringRole
{
    private readonly CriticOptions _options;
    private readonly IBorrowedModel _critic;
    private readonly IOutputHead _head;
    private readonly WeightsReader _weights;

    /// <summary>Borrows the critic.</summary>
    public CriticRole(CriticOptions options, INodeContext context)
    {
        (_options, _critic) = (options, WeightsReader.Borrow(options.Model, context));
        _head = ValueHeads.Of(_critic);
        _weights = new WeightsReader(_critic, options.Model, context);
    }

    /// <inheritdoc/>
    public ScoreKind Kind => ScoreKind.Values;

    /// <inheritdoc/>
    /// <exception cref="UserErrorException">The critic has another tokenizer than the policy, or too short a context.</exception>
    public Scores Score(Rollout rollout, CancellationToken cancel)
    {
        RolloutFit.Require(_critic, rollout);
        _weights.RequireWhole();
        using var active = _critic.Activate();
        var values = SequenceScoring.Values(
            _critic.Body, _head, SequenceScoring.ResponsesOf(rollout), HeadPlacement.PredictTargets, _options.MicroBatchTokens, cancel);
        return Scores.Of(Kind, new Ragged<float>(rollout.Tokens.Offsets, values));
    }

    /// <inheritdoc/>
    public void LoadWeights(WeightsPublication publication, CancellationToken cancel) => _weights.Accept(publication, cancel);

    /// <inheritdoc/>
    public void Dispose() => _critic.Dispose();
}
