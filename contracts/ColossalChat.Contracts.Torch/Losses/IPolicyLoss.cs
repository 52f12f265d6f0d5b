using static TorchSharp.torch;

namespace ColossalChat.Contracts.Torch;

/// <summary>One micro-batch for a policy loss. B = sequences, T = longest response.</summary>
/// <param name="NewLogProbs">[B, T] float32, nats; under the weights in training; carries the gradient.</param>
/// <param name="OldLogProbs">[B, T] float32, nats; under the weights that wrote the tokens.</param>
/// <param name="Advantages">[B, T] float32, in standard deviations once whitened.</param>
/// <param name="ImportanceWeights">[B, T] float32, truncated weight of a stale sample; 1 when on-policy.</param>
/// <param name="IsResponse">[B, T] bool; true where the token counts. Elsewhere the other tensors may hold anything.</param>
/// <param name="Totals">Totals of the window; divide by these.</param>
public sealed record PolicyLossInput(
    Tensor NewLogProbs,
    Tensor OldLogProbs,
    Tensor Advantages,
    Tensor ImportanceWeights,
    Tensor IsResponse,
    WindowTotals Totals);

/// <summary>Turns log-probabilities and advantages into the number that the policy descends.</summary>
public interface IPolicyLoss
{
    /// <summary>
    /// The micro-batch's share of the window's loss. Metrics (shares of window means): <c>approx_kl</c> in nats,
    /// <c>clip_frac</c>, <c>ratio_mean</c>; maxima: <c>ratio_max</c>. Reads the input and disposes none of it.
    /// </summary>
    ObjectiveResult Compute(PolicyLossInput input);
}

/// <summary>One micro-batch for a value loss; only counting tokens are present. N = tokens.</summary>
/// <param name="Values">[N] float32, reward units; carries the gradient.</param>
/// <param name="OldValues">[N] float32, at rollout.</param>
/// <param name="Returns">[N] float32, the targets.</param>
/// <param name="Totals">Totals of the window; divide by these.</param>
public sealed record ValueLossInput(Tensor Values, Tensor OldValues, Tensor Returns, WindowTotals Totals);

/// <summary>The number that the critic descends.</summary>
public interface IValueLoss
{
    /// <summary>The micro-batch's share of the window's loss. Metrics: <c>clip_frac</c>. Disposes no input.</summary>
    ObjectiveResult Compute(ValueLossInput input);
}

/// <summary>Scores of pairs. P = pairs.</summary>
/// <param name="Chosen">[P] float32; reward of the better answer, or its log-ratio to a reference.</param>
/// <param name="Rejected">[P] float32; the same of the worse answer.</param>
/// <param name="TotalPairs">Pairs in the window; divide by it.</param>
public sealed record PreferenceLossInput(Tensor Chosen, Tensor Rejected, long TotalPairs);

/// <summary>The number that makes better answers score higher than worse ones.</summary>
public interface IPreferenceLoss
{
    /// <summary>[] float32, the micro-batch's share of the window's loss. Disposes no input.</summary>
    Tensor Compute(PreferenceLossInput input);
}

/// <summary>A loss added to a trained model's own, on data of its own (PTX).</summary>
public interface IExtraLoss : IStatefulRole, IDisposable
{
    /// <summary>Name of its metrics, such as <c>ptx</c>.</summary>
    string Name { get; }

    /// <summary>
    /// The part to add to the next optimiser step, or null for none. The caller disposes the window's
    /// micro-batches.
    /// </summary>
    /// <param name="device">Where the model computes.</param>
    ObjectivePart? Next(Device device);
}
