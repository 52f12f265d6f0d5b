using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>
/// Which rows each update of an iteration learns from: every pass goes through all rows once, in an order of its own.
/// </summary>
/// <param name="seed">The run's seed.</param>
/// <param name="iteration">Iteration.</param>
/// <param name="rows">Rows of the experience.</param>
/// <param name="parts">Parts of each pass; of a rank with fewer rows some are empty.</param>
/// <param name="epochs">Passes.</param>
internal sealed class StepPlan(ulong seed, long iteration, int rows, int parts, int epochs)
{
    // Keeps these orders apart from those of data sources, which are shuffled by the same seed.
    private const long PassStream = 0x50415353;

    public int Steps => parts * epochs;

    /// <summary>Rows of one update, ascending by length so that micro-batches pad little.</summary>
    /// <param name="step">From 0.</param>
    /// <param name="experience">The iteration's experience.</param>
    public int[] Rows(int step, Experience experience)
    {
        var (epoch, part) = Math.DivRem(step, parts);
        var order = new RandomKey(seed, RandomPurpose.Shuffle, iteration, PassStream, epoch).Permutation(rows);
        var (from, to) = ((long)rows * part / parts, (long)rows * (part + 1) / parts);
        return [.. order[(int)from..(int)to].OrderBy(row => experience.Tokens.LengthOf(row)).ThenBy(row => row)];
    }
}
