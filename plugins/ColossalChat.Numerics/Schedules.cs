namespace ColossalChat.Numerics;

/// <summary>How a learning rate falls after its warm-up.</summary>
public enum ScheduleShape
{
    /// <summary>It stays.</summary>
    Constant,

    /// <summary>Along a straight line.</summary>
    Linear,

    /// <summary>Along half a cosine.</summary>
    Cosine,
}

/// <summary>Factors on a learning rate; pure functions of the updates applied so far.</summary>
public static class Schedules
{
    /// <summary>The factor for the next update.</summary>
    /// <param name="shape">How it falls.</param>
    /// <param name="step">Updates applied so far, from 0.</param>
    /// <param name="totalSteps">Updates of the whole run.</param>
    /// <param name="warmUpSteps">Updates until the full rate; the first of them has rate 1 / warmUpSteps, not 0.</param>
    /// <param name="minimumRatio">Factor reached at the last update, 0 to 1.</param>
    public static double Factor(ScheduleShape shape, long step, long totalSteps, long warmUpSteps, double minimumRatio)
    {
        if (step < warmUpSteps)
            return (step + 1.0) / warmUpSteps;
        if (shape == ScheduleShape.Constant)
            return 1;
        var span = Math.Max(1, totalSteps - warmUpSteps - 1);
        var progress = Math.Min(1.0, (double)(step - warmUpSteps) / span);
        var falling = shape == ScheduleShape.Linear ? 1 - progress : (1 + Math.Cos(Math.PI * progress)) / 2;
        return minimumRatio + ((1 - minimumRatio) * falling);
    }
}
