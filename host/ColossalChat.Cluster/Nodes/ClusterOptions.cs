using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>How a run spreads over nodes; section <c>cluster</c> of the configuration.</summary>
public sealed record ClusterOptions : ICheckedOptions
{
    /// <summary>Only nodes of one name meet; letters, digits and dashes. Default colossalchat.</summary>
    public string Name { get; init; } = "colossalchat";

    /// <summary>
    /// Nodes by role: coordinator (also hosts prompts, experience and batches), rollout, reference, critic, reward and
    /// trainer. A role that is left out has one node.
    /// </summary>
    public IReadOnlyDictionary<string, RoleNodes> Roles { get; init; } = new Dictionary<string, RoleNodes>();

    /// <summary>
    /// Longest wait for nodes: at the start, and during the run when a role has nowhere left to run. After it the run ends.
    /// 1 s to 24 h; default 5 min.
    /// </summary>
    public TimeSpan WaitForNodes { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Most seconds that clocks of nodes may differ before it is remarked. 0.1 to 3600; default 2.</summary>
    public double ClockSkew { get; init; } = 2;

    /// <summary>Certificates with which nodes prove who they are. Left out, nothing between nodes is encrypted.</summary>
    public ClusterTls Tls { get; init; } = new();

    /// <summary>Where weights and other large blocks travel.</summary>
    public ClusterLane Lane { get; init; } = new();

    /// <summary>Names of all roles that a node may have.</summary>
    public static IReadOnlyList<string> RoleNames { get; } = ["coordinator", "rollout", "reference", "critic", "reward", "trainer"];

    /// <summary>What is said to those who have two nodes.</summary>
    public const string TwoNodes =
        "Two nodes are up, and a cluster of two cannot survive the loss of its oldest node (in Akka's terms, the one with the lower address): the other cannot tell it from a cut network, and ends too. "
        + "Start a third node; it may have any role.";

    /// <summary>What a role asks for.</summary>
    public RoleNodes Of(string role) => Roles.GetValueOrDefault(role) ?? new RoleNodes();

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Name.Length == 0 || !Name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter == '-') || Name[0] == '-')
            yield return $"name is '{Name}'; it must be letters, digits and dashes, such as story-ppo.";
        if (WaitForNodes < TimeSpan.FromSeconds(1) || WaitForNodes > TimeSpan.FromHours(24))
            yield return $"wait-for-nodes is {WaitForNodes}; it must be from 1 s to 24 h.";
        if (ClockSkew is not (>= 0.1 and <= 3600))
            yield return $"clock-skew is {ClockSkew}; it must be from 0.1 to 3600 seconds.";
        foreach (var role in Roles.Keys.Where(role => !RoleNames.Contains(role)))
            yield return $"roles.{role} is no role of a node; use one of {string.Join(", ", RoleNames)}.";
    }
}

/// <summary>Nodes of one role.</summary>
public sealed record RoleNodes : ICheckedOptions
{
    /// <summary>Nodes that a run begins with; 1 to 1000; default 1. More rollout nodes than this may join and leave at any time.</summary>
    public int Nodes { get; init; } = 1;

    /// <summary>Actors of the role on one node, at most; of trainers, ranks. 1 to 64; default 1.</summary>
    public int PerNode { get; init; } = 1;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Nodes is < 1 or > 1000)
            yield return $"nodes is {Nodes}; it must be from 1 to 1000.";
        if (PerNode is < 1 or > 64)
            yield return $"per-node is {PerNode}; it must be from 1 to 64.";
    }
}
