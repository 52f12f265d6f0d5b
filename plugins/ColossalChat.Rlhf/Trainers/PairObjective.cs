using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

// B = sequences, P = pairs = B / 2; rows 2i and 2i + 1 are chosen and rejected.

/// <summary>Preference loss over scores of pairs, with the numbers people look at.</summary>
/// <param name="loss">The loss.</param>
internal sealed class PairObjective(IPreferenceLoss loss) : IObjective
{
    public ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals)
    {
        using var scope = NewDisposeScope();
        var pairs = output.view(-1, 2);                                                       // [P, 2]
        var result = loss.Compute(new PreferenceLossInput(pairs.select(1, 0), pairs.select(1, 1), totals.Rows / 2));
        return Measure(result.MoveToOuterDisposeScope(), TensorData.ToFloats(output), batch.Layout.Lengths, totals.Rows);
    }

    /// <summary>Turns sums that add up over micro-batches into spread, range and length correlation.</summary>
    /// <param name="metrics">Numbers of a window.</param>
    /// <param name="prefix">Their prefix.</param>
    /// <param name="withLengths">Whether the correlation with length is wanted.</param>
    public static Dictionary<string, double> Conclude(Dictionary<string, double> metrics, string prefix, bool withLengths)
    {
        if (!metrics.Remove(prefix + "reward_square", out var square))
            return metrics;
        var mean = metrics[prefix + "reward_mean"];
        metrics[prefix + "reward_std"] = Math.Sqrt(Math.Max(0, square - (mean * mean)));
        metrics.Remove(prefix + "negative_max", out var negative);
        metrics[prefix + "reward_min"] = -negative;
        metrics.Remove(prefix + "length", out var length);
        metrics.Remove(prefix + "length_square", out var lengthSquare);
        metrics.Remove(prefix + "length_reward", out var product);
        if (withLengths)
            metrics[prefix + "length_corr"] = Moments.Correlation(length, mean, lengthSquare, square, product);
        return metrics;
    }

    private static ObjectiveResult Measure(Tensor loss, float[] scores, IReadOnlyList<int> lengths, long totalRows)
    {
        var (rows, pairs) = (Math.Max(1.0, totalRows), Math.Max(1.0, totalRows / 2.0));
        var sums = new Dictionary<string, double>
        {
            ["acc"] = 0, ["margin"] = 0, ["reward_chosen"] = 0, ["reward_rejected"] = 0,
        };
        for (var i = 0; i + 1 < scores.Length; i += 2)
        {
            // A tie is a miss: a model that gives everything the same score must not look half right.
            sums["acc"] += scores[i] > scores[i + 1] ? 1 / pairs : 0;
            sums["margin"] += (scores[i] - scores[i + 1]) / pairs;
            sums["reward_chosen"] += scores[i] / pairs;
            sums["reward_rejected"] += scores[i + 1] / pairs;
        }

        sums["reward_mean"] = scores.Sum(score => (double)score) / rows;
        sums["reward_square"] = scores.Sum(score => (double)score * score) / rows;
        sums["length"] = lengths.Sum(length => (double)length) / rows;
        sums["length_square"] = lengths.Sum(length => (double)length * length) / rows;
        sums["length_reward"] = scores.Select((score, i) => (double)score * lengths[i]).Sum() / rows;
        return new ObjectiveResult(loss, sums, new Dictionary<string, double>
        {
            ["reward_max"] = scores.Max(),
            ["negative_max"] = -scores.Min(),
        });
    }
}
