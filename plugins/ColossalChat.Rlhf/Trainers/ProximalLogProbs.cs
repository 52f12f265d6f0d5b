using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

// N = response tokens, V = vocabulary.

/// <summary>Log-probabilities of experience under a trained model as it is now, however its weights are spread over ranks.</summary>
internal static class ProximalLogProbs
{
    /// <summary>One a target token, in row order; nats. All ranks call it together.</summary>
    /// <param name="model">The trained model.</param>
    /// <param name="experience">This rank's share.</param>
    /// <param name="temperature">The rollout's; logits are divided by it.</param>
    /// <param name="cancel">Ends it between micro-batches.</param>
    public static IReadOnlyList<float> Of(TrainedModel model, Experience experience, double temperature, CancellationToken cancel)
    {
        var reader = new Reader(temperature);
        model.Evaluate(new ObjectivePart("proximal", model.Cut(experience, HeadPlacement.PredictTargets), reader), cancel);
        return reader.LogProbs;
    }

    // The engine passes micro-batches in their order, each once.
    private sealed class Reader(double temperature) : IObjective
    {
        public List<float> LogProbs { get; } = [];

        public ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals)
        {
            using var scope = NewDisposeScope();
            LogProbs.AddRange(TensorData.ToFloats(TokenLogProbs.Compute(output, batch.Targets, temperature).LogProbs));
            return new ObjectiveResult(zeros(1).squeeze(0).MoveToOuterDisposeScope(), new Dictionary<string, double>());
        }
    }
}
