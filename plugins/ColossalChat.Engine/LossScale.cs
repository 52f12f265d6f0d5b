namespace ColossalChat.Engine;

/// <summary>
/// Factor on the loss that keeps small float16 gradients from vanishing: halved after an overflow, doubled after many
/// steps without one. Micikevicius et al., arXiv 1710.03740. Other types need none.
/// </summary>
internal sealed class LossScale(bool isNeeded)
{
    private const double First = 1 << 16;
    private const double Largest = 1L << 32;
    private const int StepsToGrow = 1000;

    /// <summary>The factor now.</summary>
    public double Factor { get; private set; } = isNeeded ? First : 1;

    /// <summary>Steps since the last overflow or growth.</summary>
    public int Steps { get; private set; }

    /// <summary>A step was applied.</summary>
    public void Succeed()
    {
        if (!isNeeded || ++Steps < StepsToGrow)
            return;
        (Factor, Steps) = (Math.Min(Largest, Factor * 2), 0);
    }

    /// <summary>Gradients were not finite.</summary>
    public void Overflow()
    {
        if (isNeeded)
            (Factor, Steps) = (Math.Max(1, Factor / 2), 0);
    }

    /// <summary>Continues from a saved scale.</summary>
    public void Restore(double factor, int steps)
    {
        if (isNeeded)
            (Factor, Steps) = (factor, steps);
    }
}
