namespace ColossalChat.Contracts;

/// <summary>The offline flow's beginning: a dataset cut into optimiser windows.</summary>
public interface IBatchSource : IStatefulRole
{
    /// <summary>Optimiser steps in the whole run. At least 1.</summary>
    long Iterations { get; }

    /// <summary>Sequences of one iteration for each rank: a pure function of seed, data and iteration.</summary>
    /// <param name="iteration">From 1 to <see cref="Iterations"/>.</param>
    /// <param name="ranks">Trainer ranks to split by.</param>
    IReadOnlyList<Experience> Take(long iteration, int ranks);

    /// <summary>Held-out sequences, cut into batches; empty when there are none.</summary>
    IReadOnlyList<Experience> HeldOut { get; }

    /// <summary>Numbers about the data by metric name: rows, tokens, dropped rows by reason. <c>data/sequences</c> makes <c>train/epoch</c>.</summary>
    IReadOnlyDictionary<string, double> Metrics { get; }

    /// <summary>What to tell the user about the data, such as rows dropped and why.</summary>
    IReadOnlyList<string> Remarks { get; }
}

/// <summary>
/// One rank of one trained model's group. An iteration is Begin, then Compute and Finish for every optimiser step, then
/// End. Between Compute and Finish the host asks all groups whether their gradients are finite: all apply or all skip.
/// Every call reaches all ranks of a group, in the same order; they may talk to each other in it.
/// </summary>
public interface ITrainerRole : IStatefulRole, IDisposable
{
    /// <summary>Name of the model it trains.</summary>
    string Model { get; }

    /// <summary>Takes an iteration's experience and says how many optimiser steps it will make of it; 0 skips it.</summary>
    int Begin(TrainRequest request);

    /// <summary>Computes the gradients of one step.</summary>
    /// <param name="step">From 0, in order.</param>
    /// <param name="cancel">Ends the computation.</param>
    /// <returns>True when loss and gradients are finite on this rank.</returns>
    bool Compute(int step, CancellationToken cancel);

    /// <summary>Applies the gradients, or drops them because some group overflowed; schedules do not advance then.</summary>
    void Finish(int step, bool apply);

    /// <summary>Ends the iteration.</summary>
    /// <returns>
    /// Numbers by metric name. Those of rank 0 count for its group, except that <c>perf/tflops</c> (whatever follows it) is
    /// added over the ranks.
    /// </returns>
    IReadOnlyDictionary<string, double> End();

    /// <summary>Measures held-out experience, each rank its share, without changing anything; rank 0's numbers are the group's.</summary>
    IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel);

    /// <summary>
    /// Publishes the current weights, which rank 0's readers may use until the next call of another kind; rank 0's answer
    /// is the group's.
    /// </summary>
    WeightsPublication Publish(long epoch, long version, CancellationToken cancel);

    /// <summary>Writes the model as a Hugging Face folder, complete or not at all: rank 0 writes, the others lend their parts.</summary>
    void Export(string folder);
}

/// <summary>One iteration's work for one rank.</summary>
/// <param name="Iteration">From 1.</param>
/// <param name="Iterations">Iterations of the whole run; schedules need it.</param>
/// <param name="Experience">This rank's sequences.</param>
public sealed record TrainRequest(long Iteration, long Iterations, Experience Experience)
{
    /// <summary>Sequences of the rank that has most of them; all ranks make as many steps as that one.</summary>
    public int MostRows { get; init; } = Experience.Rows;

    /// <summary>Target tokens of all ranks; without any there is nothing to learn.</summary>
    public long GroupTargetTokens { get; init; } = Experience.TargetTokens;
}
