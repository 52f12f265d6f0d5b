using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

/// <summary>
/// A short sequence that publisher and reader both judge with the published weights. Equal bytes are no equal models: another
/// adapter scale, rotary base or kernel shows in what the model says and nowhere else.
/// </summary>
internal static class CanaryPrompt
{
    private const int Length = 16;

    // Another processor or number of threads adds up in another order; 16-bit types keep 8 bits of a number.
    private const double Tolerance = 1e-3;
    private const double CoarseTolerance = 0.1;

    /// <summary>What a model says: a log-probability in nats or a value in reward units for every token but the first.</summary>
    public static float[] Judge(IBorrowedModel model, CancellationToken cancel)
    {
        var length = Math.Min(Length, model.Body.Shape.ContextLength);
        // Spread over the vocabulary, the same ones on every node.
        var tokens = Enumerable.Range(0, length).Select(i => (int)((i + 1) * 7919L % model.Body.Shape.VocabularySize)).ToArray();
        var sequence = new Experience(
            Ragged.FromRows([tokens]),
            Ragged.FromRows([Enumerable.Range(0, length).Select(i => i > 0).ToArray()]),
            new Dictionary<string, Ragged<float>>());
        using var active = model.Activate();
        return model.ValueHead is { } head
            ? SequenceScoring.Values(model.Body, head, sequence, HeadPlacement.PredictTargets, length, cancel)
            : SequenceScoring.LogProbs(model.Body, sequence, temperature: 1, length, cancel);
    }

    /// <summary>Compares what a reader's model says with what the publisher's said.</summary>
    /// <param name="model">The reader's, with the published weights.</param>
    /// <param name="published">The publisher's answer.</param>
    /// <param name="publication">Which weights.</param>
    /// <param name="isSameType">Both have their parameters in the same element type.</param>
    /// <param name="cancel">Ends it.</param>
    /// <exception cref="InvalidOperationException">They differ.</exception>
    public static void Require(IBorrowedModel model, IReadOnlyList<float> published, WeightsPublication publication, bool isSameType, CancellationToken cancel)
    {
        var (here, name) = (Judge(model, cancel), publication.Model);
        if (here.Length != published.Count)
            throw new InvalidOperationException($"The canary prompt of weights {publication.Version} of {name} has {here.Length} answers here and {published.Count} at the trainer; configure models.{name} alike on all nodes.");
        var isExact = isSameType && ModelWeights.Of(model).All(slot => slot.Value.dtype == ScalarType.Float32);
        var tolerance = isExact ? Tolerance : CoarseTolerance;
        for (var i = 0; i < here.Length; i++)
        {
            if (!(Math.Abs(here[i] - published[i]) <= tolerance * (1 + Math.Abs(published[i]))))
                throw new InvalidOperationException($"With weights {publication.Version} of {name}, token {i + 1} of the canary prompt has {here[i]:G6} here and {published[i]:G6} at the trainer; configure models.{name}, its adapter included, alike on all nodes.");
        }
    }
}
