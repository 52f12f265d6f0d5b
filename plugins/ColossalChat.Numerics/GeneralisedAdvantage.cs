using ColossalChat.Contracts;

namespace ColossalChat.Numerics;

/// <summary>Generalised advantage estimation (Schulman et al., arXiv 1506.02438), row by row in double precision.</summary>
public static class GeneralisedAdvantage
{
    /// <summary>
    /// A(t) = delta(t) + gamma lambda A(t + 1) with delta(t) = r(t) + gamma V(t + 1) - V(t); behind the last token both are 0.
    /// </summary>
    /// <param name="rewards">Per counting token, reward units.</param>
    /// <param name="values">Expected return just before each token; shape of the rewards.</param>
    /// <param name="gamma">Discount, 0 to 1.</param>
    /// <param name="lambda">0 (one step) to 1 (whole return).</param>
    /// <returns>Advantages and returns, A + V, in the shape of the rewards.</returns>
    public static AdvantageEstimate Estimate(Ragged<float> rewards, Ragged<float> values, double gamma, double lambda)
    {
        if (!rewards.HasShapeOf(values))
            throw new ArgumentException("Rewards and values differ in shape.", nameof(values));
        var advantages = new float[rewards.Values.Length];
        var returns = new float[rewards.Values.Length];
        for (var row = 0; row < rewards.Rows; row++)
        {
            var r = rewards[row].Span;
            var v = values[row].Span;
            var start = rewards.Offsets.Span[row];
            var (next, nextValue) = (0.0, 0.0);
            for (var t = r.Length - 1; t >= 0; t--)
            {
                next = r[t] + (gamma * nextValue) - v[t] + (gamma * lambda * next);
                nextValue = v[t];
                advantages[start + t] = (float)next;
                returns[start + t] = (float)(next + v[t]);
            }
        }

        return new AdvantageEstimate(new Ragged<float>(rewards.Offsets, advantages), new Ragged<float>(rewards.Offsets, returns));
    }
}
