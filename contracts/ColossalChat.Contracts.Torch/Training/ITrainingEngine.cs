using static TorchSharp.torch;

namespace ColossalChat.Contracts.Torch;

/// <summary>What is trained: a body with one head.</summary>
/// <param name="Body">The decoder.</param>
/// <param name="Head">Language or value head.</param>
/// <param name="Adapter">When present only its parameters train, and the head's own if it is a value head.</param>
public sealed record TrainingTarget(ICausalModel Body, IOutputHead Head, IAttachedAdapter? Adapter);

/// <summary>Makes engines.</summary>
public interface ITrainingEngineFactory
{
    /// <summary>An engine over this target; it owns optimiser state and gradients, not the model.</summary>
    ITrainingEngine Create(TrainingTarget target, INodeContext context);
}

/// <summary>
/// Drives a model through forward, backward and update. Roles give it windows of micro-batches and an objective; they
/// never call backward or an optimiser.
/// </summary>
public interface ITrainingEngine : IStatefulRole, IDisposable
{
    /// <summary>
    /// Computes gradients of the sum of all objectives. Totals of each window are known before its first micro-batch, so
    /// how a window is cut cannot change the result (beyond rounding).
    /// </summary>
    /// <param name="parts">One window with its objective, then any extra losses.</param>
    /// <param name="cancel">Checked between micro-batches.</param>
    GradientReport ComputeGradients(IReadOnlyList<ObjectivePart> parts, CancellationToken cancel);

    /// <summary>Clips and applies the gradients.</summary>
    /// <param name="learningRate">Of this step.</param>
    void Apply(double learningRate);

    /// <summary>Drops the gradients; the step counter does not advance.</summary>
    void Skip();

    /// <summary>Evaluates an objective without gradients.</summary>
    /// <returns>The objective's metrics, and <c>loss</c>.</returns>
    IReadOnlyDictionary<string, double> Evaluate(ObjectivePart part, CancellationToken cancel);

    /// <summary>Updates applied so far.</summary>
    long Steps { get; }

    /// <summary>Padded tokens that a micro-batch should hold at most; whoever makes a window cuts it by this.</summary>
    int MicroBatchTokens => 8192;

    /// <summary>Parameters that train.</summary>
    IReadOnlyList<ParameterSlot> Trainable { get; }

    /// <summary>
    /// Makes the values of these parameters readable on this rank until the result is disposed, wherever they lie now.
    /// Every rank calls it with the same parameters in the same order; the default is for engines that hold all weights.
    /// </summary>
    /// <param name="slots">Parameters of the model; those that do not train are readable always.</param>
    IDisposable ReadWeights(IReadOnlyList<ParameterSlot> slots) => Nothing.Instance;

    /// <summary>Memory and communication of this rank so far.</summary>
    EngineUsage Usage => default;

    private sealed class Nothing : IDisposable
    {
        public static readonly Nothing Instance = new();

        public void Dispose()
        {
            // Nothing was gathered.
        }
    }
}

/// <summary>What one rank holds and how long it communicated.</summary>
/// <param name="Memory">Bytes now.</param>
/// <param name="Communication">Time of all communication since the engine was made.</param>
/// <param name="Exposed">The part of it that computation waited for.</param>
public readonly record struct EngineUsage(ShardMemory Memory, TimeSpan Communication, TimeSpan Exposed);

/// <summary>One objective over one window.</summary>
/// <param name="Name">Prefix of its metrics.</param>
/// <param name="Window">Micro-batches of one optimiser step; the engine does not dispose them.</param>
/// <param name="Objective">Its loss.</param>
/// <param name="Coefficient">Factor on the loss; a part of 0 is measured and changes no bit of the update.</param>
public sealed record ObjectivePart(string Name, IReadOnlyList<MicroBatch> Window, IObjective Objective, double Coefficient = 1);

/// <summary>Maps head output and micro-batch to a share of a window's loss.</summary>
public interface IObjective
{
    /// <summary>
    /// The micro-batch's share: shares of a window add up to its loss, because each is divided by the window's totals and
    /// never by its own. Disposes no input.
    /// </summary>
    /// <param name="output">Language head: [N, V] logits. Value head: [N] float32.</param>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="totals">Totals of the window.</param>
    ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals);
}

/// <summary>An objective's answer; the caller disposes <paramref name="Loss"/>.</summary>
/// <param name="Loss">[] float32, this micro-batch's share of the window's loss.</param>
/// <param name="Metrics">Shares that add up over the window.</param>
/// <param name="Maxima">Numbers of which the window's largest counts.</param>
public sealed record ObjectiveResult(
    Tensor Loss,
    IReadOnlyDictionary<string, double> Metrics,
    IReadOnlyDictionary<string, double>? Maxima = null);

/// <summary>What a gradient computation found.</summary>
/// <param name="IsFinite">Loss and gradients hold no NaN or infinity, on all ranks.</param>
/// <param name="GradientNorm">L2 norm before clipping, over all ranks.</param>
/// <param name="PartNorms">L2 norm of each part's gradient alone, by part name.</param>
/// <param name="Metrics">Losses and metrics, by <c>part/name</c>.</param>
/// <param name="Clipped">True when clipping will act.</param>
public sealed record GradientReport(
    bool IsFinite,
    double GradientNorm,
    IReadOnlyDictionary<string, double> PartNorms,
    IReadOnlyDictionary<string, double> Metrics,
    bool Clipped);
