namespace ColossalChat.Cluster;

/// <summary>
/// Nodes that were asked to leave, however often they fall silent and come back meanwhile. One with trainers waits for a
/// checkpoint that was begun after it was asked, so that nothing is trained twice.
/// </summary>
internal sealed class LeavingNodes
{
    private readonly Dictionary<string, long> _askedAfter = [];
    private readonly HashSet<string> _saved = [];

    /// <summary>Names of all of them.</summary>
    public IEnumerable<string> Names => _askedAfter.Keys;

    /// <summary>True for a node that was asked.</summary>
    public bool Contains(string node) => _askedAfter.ContainsKey(node);

    /// <summary>A node is asked to leave.</summary>
    /// <param name="node">Which.</param>
    /// <param name="iteration">Last finished one: what is saved of a later one has all that the node did until now.</param>
    /// <returns>False when it was asked before.</returns>
    public bool Ask(string node, long iteration) => _askedAfter.TryAdd(node, iteration);

    /// <summary>A checkpoint is on the disk.</summary>
    /// <returns>True when some have to wait for a newer one.</returns>
    public bool Saved(long iteration)
    {
        foreach (var (node, after) in _askedAfter)
            if (iteration > after)
                _saved.Add(node);
        return _saved.Count < _askedAfter.Count;
    }

    /// <summary>True when the run loses nothing with a node.</summary>
    /// <param name="node">Which.</param>
    /// <param name="hostsRoles">Whether roles run there.</param>
    public bool MayGo(string node, bool hostsRoles) => Contains(node) && (!hostsRoles || _saved.Contains(node));

    /// <summary>It is gone.</summary>
    public void Remove(string node)
    {
        _askedAfter.Remove(node);
        _saved.Remove(node);
    }
}
