using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Bench;

/// <summary>A node whose ranks meet at another place than its own, and whose engines shard in a way of their own.</summary>
internal sealed class NodeElsewhere(INodeContext node, IPeerLinks peers) : INodeContext
{
    /// <summary>Sharding strategy of all engines; null leaves it to their settings.</summary>
    public string? Sharding { get; init; }

    public RankPlace Place { get; init; } = RankPlace.Alone;

    public IPeerLinks Peers => peers;

    public string NodeName => node.NodeName;

    public ulong Seed => node.Seed;

    public string? RunFolder => node.RunFolder;

    public TimeProvider Time => node.Time;

    public IBlobLane Blobs => node.Blobs;

    public IDeviceLeases Devices => node.Devices;

    public INodeLog Log => node.Log;

    public TSeam Create<TSeam>(PluginChoice<TSeam> choice)
        where TSeam : class => Sharding is { } name && typeof(TSeam) == typeof(IShardingStrategy) ? node.Resolve<TSeam>(name) : node.Create(choice);

    public TSeam Resolve<TSeam>(string name)
        where TSeam : class => node.Resolve<TSeam>(name);

    public IReadOnlyList<string> NamesOf<TSeam>()
        where TSeam : class => node.NamesOf<TSeam>();

    public ITokenizer Tokenizer(string hash) => node.Tokenizer(hash);

    public void AddTokenizer(ITokenizer tokenizer) => node.AddTokenizer(tokenizer);
}
