using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Publications that reached a role's actor, for the role's own thread to look at. Safe to use from several threads.</summary>
internal sealed class WeightInbox : IWeightInbox
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, WeightsPublication> _newest = [];
    private readonly HashSet<string> _untaken = [];

    /// <summary>A publication came.</summary>
    public void Post(WeightsPublication publication)
    {
        lock (_lock)
        {
            _newest[publication.Model] = publication;
            _untaken.Add(publication.Model);
        }
    }

    /// <inheritdoc/>
    public WeightsPublication? Take(string model)
    {
        lock (_lock)
            return _untaken.Remove(model) ? _newest[model] : null;
    }

    /// <summary>The newest publication of the same model: an older one may be withdrawn by now.</summary>
    public WeightsPublication Newest(WeightsPublication publication)
    {
        lock (_lock)
            return _newest.GetValueOrDefault(publication.Model, publication);
    }
}
