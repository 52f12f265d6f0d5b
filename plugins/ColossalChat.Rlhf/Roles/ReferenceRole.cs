using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>Settings of the reference role; section <c>roles.reference</c>.</summary>
public sealed record ReferenceOptions : ICheckedOptions
{
    /// <summary>Name of the frozen model in the <c>models</c> section; default reference.</summary>
    public string Model { get; init; } = "reference";

    /// <summary>Most padded tokens in one forward pass. 1 or more; default 8192.</summary>
    public int MicroBatchTokens { get; init; } = 8192;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (MicroBatchTokens < 1)
            yield return $"micro-batch-tokens is {MicroBatchTokens}; it must be 1 or more.";
    }
}

/// <summary>Log-probabilities of the response tokens under the frozen policy, at the temperature the rollout was drawn at.</summary>
public sealed class ReferenceRole : IScoringRole
{
    private readonly ReferenceOptions _options;
    private readonly IBorrowedModel _reference;

    /// <summary>Borrows the reference.</summary>
    public ReferenceRole(ReferenceOptions options, INodeContext context) =>
        (_options, _reference) = (options, context.Resolve<IModelStore>("models").Borrow(options.Model));

    /// <inheritdoc/>
    public ScoreKind Kind => ScoreKind.ReferenceLogProbs;

    /// <inheritdoc/>
    /// <exception cref="UserErrorException">The reference has another tokenizer than the policy, or too short a context.</exception>
    public Scores Score(Rollout rollout, CancellationToken cancel)
    {
        RolloutFit.Require(_reference, rollout);
        using var active = _reference.Activate();
        var logProbs = SequenceScoring.LogProbs(
            _reference.Body, SequenceScoring.ResponsesOf(rollout), rollout.Temperature, _options.MicroBatchTokens, cancel);
        return Scores.Of(Kind, new Ragged<float>(rollout.Tokens.Offsets, logProbs));
    }

    /// <inheritdoc/>
    public void LoadWeights(WeightsPublication publication, CancellationToken cancel)
    {
        // The reference never changes.
    }

    /// <inheritdoc/>
    public void Dispose() => _reference.Dispose();
}
