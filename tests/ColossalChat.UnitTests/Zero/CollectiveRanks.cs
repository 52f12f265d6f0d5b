using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.PluginKit;
using ColossalChat.UnitTests.Transfer;
using ColossalChat.Zero;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Zero;

/// <summary>Each collective, as a run would get it: by name, from the plugin, over links of a kind.</summary>
internal static class CollectiveRanks
{
    /// <summary>Kind of collective, then kind of links.</summary>
    public static readonly (string Collective, string Links)[] All =
        [("shared-memory", "in-process"), ("shared-memory", "directory"), ("ring", "in-process"), ("ring", "socket"), ("auto", "directory")];

    public static ICollective Join(string collective, IPeerLinks links, RankPlace place, TimeSpan deadline)
    {
        var node = new LinkedNode(links);
        return ((ICollectiveFactory)node.Make(collective, deadline)).Create(place, CPU, node);
    }

    /// <summary>A group of one.</summary>
    public static ICollective Alone() => Join("auto", new TestNode().Peers, RankPlace.Alone, TimeSpan.FromSeconds(10));

    /// <summary>A rank that meets nobody, for tensors without numbers.</summary>
    public static ICollective OnMeta(RankPlace place)
    {
        var node = new LinkedNode(new TestNode().Peers);
        return ((ICollectiveFactory)node.Make("auto", TimeSpan.FromSeconds(10))).Create(place, META, node);
    }

    /// <summary>Runs every rank on a thread of its own.</summary>
    public static async Task Each(string collective, string links, int ranks, Action<ICollective> body, TimeSpan deadline, TimeSpan limit)
    {
        using var place = new MeetingPlace(links);
        await MeetingPlace.EachRank(ranks, rank =>
        {
            using var scope = NewDisposeScope();
            using var joined = Join(collective, place.Links, new RankPlace("trainers", rank, ranks), deadline);
            body(joined);
        }, limit);
        Xunit.Assert.Empty(place.LeftBehind);
    }

    /// <summary>A rank's elements, different at each rank, exact sums of bfloat16 among them and inexact ones.</summary>
    public static Tensor Elements(int rank, long n, ScalarType type)
    {
        var index = arange(n, ScalarType.Int64);
        return type == ScalarType.Int64
            ? (index * 1_000_003) + ((rank + 1L) << 40)
            : (((index * (37 + (rank * 11))) % 1009).to(float32) / (7f + rank) - 50f).to(type);
    }

    private sealed class LinkedNode(IPeerLinks links) : IPluginRegistry, INodeContext
    {
        private readonly TestNode _node = new();
        private readonly Dictionary<string, Func<TimeSpan, object>> _factories = [];

        public IPeerLinks Peers => links;

        public string NodeName => _node.NodeName;

        public ulong Seed => _node.Seed;

        public string? RunFolder => null;

        public TimeProvider Time => _node.Time;

        public IBlobLane Blobs => _node.Blobs;

        public IDeviceLeases Devices => _node.Devices;

        public INodeLog Log => _node.Log;

        public object Make(string name, TimeSpan deadline)
        {
            new ZeroPlugin().Register(this);
            return _factories[name](deadline);
        }

        public void Add<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
            where TSeam : class
            where TOptions : class, new()
        {
            if (typeof(TSeam) == typeof(ICollectiveFactory))
                _factories[name] = deadline => create((TOptions)(object)new CollectiveOptions { Deadline = deadline }, this);
        }

        public void AddShared<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
            where TSeam : class
            where TOptions : class, new()
        {
        }

        public TSeam Create<TSeam>(PluginChoice<TSeam> choice)
            where TSeam : class => _node.Create(choice);

        public TSeam Resolve<TSeam>(string name)
            where TSeam : class => _node.Resolve<TSeam>(name);

        public IReadOnlyList<string> NamesOf<TSeam>()
            where TSeam : class => _node.NamesOf<TSeam>();

        public ITokenizer Tokenizer(string hash) => _node.Tokenizer(hash);

        public void AddTokenizer(ITokenizer tokenizer) => _node.AddTokenizer(tokenizer);
    }
}
