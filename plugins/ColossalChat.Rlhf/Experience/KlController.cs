namespace ColossalChat.Rlhf;

/// <summary>
/// Steers the KL coefficient towards a target divergence (Ziegler et al., arXiv 1909.08593, section 2.2), or keeps it.
/// </summary>
/// <param name="initial">First coefficient, reward units a nat.</param>
/// <param name="target">Nats per answer; 0 keeps the coefficient.</param>
/// <param name="horizon">Answers over which steering acts.</param>
public sealed class KlController(double initial, double target, double horizon)
{
    // One odd window must not swing the coefficient.
    private const double LargestError = 0.2;

    /// <summary>Coefficient of the next window.</summary>
    public double Coefficient { get; set; } = initial;

    /// <summary>Takes a window's result.</summary>
    /// <param name="divergence">Mean nats per answer.</param>
    /// <param name="answers">How many.</param>
    public void Observe(double divergence, int answers)
    {
        if (target <= 0)
            return;
        var error = Math.Clamp((divergence / target) - 1, -LargestError, LargestError);
        Coefficient *= 1 + (error * answers / horizon);
    }
}
