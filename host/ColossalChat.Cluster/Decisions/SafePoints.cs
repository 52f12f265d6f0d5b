namespace ColossalChat.Cluster;

/// <summary>
/// How often a run's state is copied to memory, to go back to when a stateful role fails: as often as fits into a share
/// of the run's time, so that quick iterations of large models do not spend their time on copying.
/// </summary>
/// <param name="Share">Share of the time that copying may take; 0 keeps none.</param>
/// <param name="LastCost">What the last copy took; null before the first.</param>
internal sealed record SafePoints(double Share, TimeSpan? LastCost)
{
    public bool IsDue(TimeSpan sinceLast) => Share > 0 && (LastCost is not { } cost || cost <= sinceLast * Share);

    public SafePoints Taken(TimeSpan cost) => this with { LastCost = cost };
}
