using System.Collections.Concurrent;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.PluginHost;
using ColossalChat.Transfer;

namespace ColossalChat.Host.Node;

/// <summary>What a node context is made of.</summary>
/// <param name="Catalog">The plugins.</param>
internal sealed record NodeSetup(PluginCatalog Catalog)
{
    public string NodeName { get; init; } = "local";

    public ulong Seed { get; init; } = 1;

    public string? RunFolder { get; init; }

    public string Device { get; init; } = "cpu";

    /// <summary>Sees every object that a plugin made, and may give another one for it; null for none.</summary>
    public Func<object, object>? Made { get; init; }

    public INodeLog Log { get; init; } = SilentLog.Instance;

    /// <summary>Carries large blocks; null for a lane within this process.</summary>
    public IBlobLane? Blobs { get; init; }

    /// <summary>Roles of other processes read trained weights.</summary>
    public bool ReadersAreElsewhere { get; init; }

    /// <summary>As <see cref="INodeContext.Staleness"/>.</summary>
    public int Staleness { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Turns on devices; contexts that share a device share this.</summary>
    public IDeviceLeases? Devices { get; init; }

    /// <summary>
    /// Options of a shared plugin by its name, from the configuration, or null: whoever resolves such a plugin, by whichever of its
    /// seams, gets the object that the configuration means.
    /// </summary>
    public Func<string, object?> SharedOptions { get; init; } = _ => null;

    /// <summary>Who holds what; contexts of one run share this.</summary>
    public PluginUsers Users { get; init; } = new();

    /// <summary>The setup of a run's node.</summary>
    /// <param name="binding">The run.</param>
    /// <param name="runFolder">Its folder; null outside a run.</param>
    /// <param name="log">Takes the node's lines.</param>
    public static NodeSetup Of(RunBinding binding, string? runFolder, INodeLog log) => new(binding.Current.Catalog)
    {
        Seed = binding.Current.Settings.Seed,
        RunFolder = runFolder,
        Device = binding.Current.Settings.Device,
        Staleness = binding.Current.Settings.Flow.Staleness,
        Log = log,
        Users = binding.Users,
        SharedOptions = name => binding.Current.Settings.Models is var models && models.Name == name ? models.Options : null,
    };
}

/// <summary>The node's side of the plugins: makes their objects, keeps the shared ones, disposes them at the end.</summary>
internal sealed class NodeContext(NodeSetup setup) : INodeContext, IDisposable
{
    private readonly Lock _sharedLock = new();
    private readonly Dictionary<(Type Seam, string Name), (object Made, PluginUsers.PluginHolder Holder)> _shared = [];
    private readonly HashSet<(Type Seam, string Name)> _beingMade = [];
    private readonly List<object> _inOrderMade = [];
    private readonly ConcurrentDictionary<string, ITokenizer> _tokenizers = new(StringComparer.Ordinal);

    public string NodeName => setup.NodeName;

    public ulong Seed => setup.Seed;

    public string? RunFolder => setup.RunFolder;

    public string Device => setup.Device;

    public TimeProvider Time => setup.Time;

    public IBlobLane Blobs { get; } = setup.Blobs ?? new InProcessBlobLane();

    public bool ReadersAreElsewhere => setup.ReadersAreElsewhere;

    /// <inheritdoc/>
    public int Staleness => setup.Staleness;

    public PeerLinks Peers { get; } = new InProcessPeerLinks();

    IPeerLinks INodeContext.Peers => Peers;

    /// <inheritdoc/>
    public IPeerLinks PeersAt(string address) => PeerAddress.Open(address);

    public IDeviceLeases Devices { get; } = setup.Devices ?? new DeviceLeases();

    public INodeLog Log => setup.Log;

    /// <summary>This node as a role sees it that is about to be made; whatever it makes is noted.</summary>
    /// <param name="slot">The role's slot.</param>
    public INodeContext For(string slot) => new HolderContext(this, setup.Users.Role(slot), RankPlace.Alone, Peers);

    /// <summary>This node as one rank of a group sees it: shared objects are the node's, its own know their place.</summary>
    /// <param name="slot">The rank's slot.</param>
    /// <param name="place">Which rank.</param>
    /// <param name="peers">Where the ranks meet.</param>
    public INodeContext At(string slot, RankPlace place, IPeerLinks peers) => new HolderContext(this, setup.Users.Role(slot), place, peers);

    /// <summary>
    /// Disposes the shared objects that are a plugin's or hold something of it, the newest first, and forgets its
    /// tokenizers; whoever needs them next makes them anew. All roles that use them are gone by now.
    /// </summary>
    public void Evict(string plugin)
    {
        foreach (var (hash, tokenizer) in _tokenizers)
            if (PluginUsers.PluginOf(tokenizer) == plugin)
                _tokenizers.TryRemove(hash, out _);
        object[] evicted;
        lock (_sharedLock)
        {
            var keys = _shared.Where(shared => shared.Value.Holder.Uses(plugin)).Select(shared => shared.Key).ToArray();
            var made = keys.Select(key => _shared[key].Made).ToHashSet(ReferenceEqualityComparer.Instance);
            foreach (var key in keys)
                _shared.Remove(key);
            evicted = [.. Enumerable.Reverse(_inOrderMade).Where(made.Contains).Distinct(ReferenceEqualityComparer.Instance)];
            _inOrderMade.RemoveAll(made.Contains);
        }

        foreach (var shared in evicted)
            (shared as IDisposable)?.Dispose();
    }

    /// <inheritdoc/>
    public TSeam Create<TSeam>(PluginChoice<TSeam> choice)
        where TSeam : class => (TSeam)Make(typeof(TSeam), choice.Name, choice.Options, this, setup.Users.Run);

    /// <inheritdoc/>
    public TSeam Resolve<TSeam>(string name)
        where TSeam : class => (TSeam)Make(typeof(TSeam), name, null, this, setup.Users.Run);

    /// <inheritdoc/>
    public IReadOnlyList<string> NamesOf<TSeam>()
        where TSeam : class => setup.Catalog.NamesOf(typeof(TSeam));

    /// <inheritdoc/>
    public ITokenizer Tokenizer(string hash) =>
        _tokenizers.TryGetValue(hash, out var tokenizer)
            ? tokenizer
            : throw new UserErrorException(
                $"No model on this node brought the tokenizer {hash}. Known: {(_tokenizers.IsEmpty ? "none" : string.Join(", ", _tokenizers.Keys.Order(StringComparer.Ordinal)))}. " +
                "The policy's and the scorers' models must be configured on the same node.");

    /// <inheritdoc/>
    public void AddTokenizer(ITokenizer tokenizer) => _tokenizers.TryAdd(tokenizer.Hash, tokenizer);

    /// <summary>Disposes the shared objects, the newest first.</summary>
    public void Dispose()
    {
        object[] made;
        lock (_sharedLock)
        {
            made = [.. Enumerable.Reverse(_inOrderMade).Distinct(ReferenceEqualityComparer.Instance)];
            _inOrderMade.Clear();
            _shared.Clear();
        }

        foreach (var shared in made)
            (shared as IDisposable)?.Dispose();
        _tokenizers.Clear();
    }

    private object Make(Type seam, string name, object? options, INodeContext maker, PluginUsers.PluginHolder holder)
    {
        var factory = setup.Catalog.Find(seam, name)
            ?? throw new UserErrorException(
                $"There is no {KebabCase.OfSeam(seam)} '{name}'. {NearestName.Advice(name, setup.Catalog.NamesOf(seam), "names")} Is its plugin folder missing or refused? `plugin list` shows what was loaded.",
                ExitCode.NotFound);
        holder.Took(factory);
        if (factory.IsShared)
        {
            var (shared, sharedHolder) = Shared(factory, options);
            holder.Took(sharedHolder);
            return shared;
        }

        var made = factory.Create(options ?? Default(factory), maker);
        return setup.Made?.Invoke(made) ?? made;
    }

    // One lock around the making: it is reentrant, since shared plugins resolve each other, and nobody gets a half-made one.
    private (object Made, PluginUsers.PluginHolder Holder) Shared(PluginFactory factory, object? options)
    {
        var key = (factory.Seam, factory.Name);
        lock (_sharedLock)
        {
            if (_shared.TryGetValue(key, out var existing))
                return existing;
            if (!_beingMade.Add(key))
                throw new UserErrorException($"The shared plugin {factory.Kind} '{factory.Name}' needs itself to be made; report this to the author of {factory.Plugin.Name}.", ExitCode.Failed);
            try
            {
                var holder = setup.Users.Shared();
                holder.Took(factory);
                var made = factory.Create(
                    options ?? Configured(factory) ?? Default(factory), new HolderContext(this, holder, RankPlace.Alone, Peers));
                _inOrderMade.Add(made);
                return _shared[key] = (made, holder);
            }
            finally
            {
                _beingMade.Remove(key);
            }
        }
    }

    private object? Configured(PluginFactory factory) =>
        setup.SharedOptions(factory.Name) is { } options && factory.OptionsType.IsInstanceOfType(options) ? options : null;

    private object Default(PluginFactory factory)
    {
        // Through the binder, because default plugins of nested choices are filled in there.
        var problems = new List<ConfigProblem>();
        var nothing = new ConfigSection($"{factory.Kind} '{factory.Name}'", "default", new Dictionary<string, ConfigNode>());
        return OptionsBinder.Bind(factory.OptionsType, nothing, setup.Catalog, problems)
            ?? throw new UserErrorException($"{factory.Kind} '{factory.Name}' cannot be made with default options:\n{string.Join('\n', problems)}");
    }

    // Every role and every shared object gets one of its own, so that what is made later is noted too.
    private sealed class HolderContext(NodeContext node, PluginUsers.PluginHolder holder, RankPlace place, IPeerLinks peers) : INodeContext
    {
        public RankPlace Place => place;

        public IPeerLinks Peers => peers;

        public string NodeName => node.NodeName;

        public ulong Seed => node.Seed;

        public string? RunFolder => node.RunFolder;

        public string Device => node.Device;

        public TimeProvider Time => node.Time;

        public IBlobLane Blobs => node.Blobs;

        public bool ReadersAreElsewhere => node.ReadersAreElsewhere;

        public int Staleness => node.Staleness;

        public IDeviceLeases Devices => node.Devices;

        public INodeLog Log => node.Log;

        public IPeerLinks PeersAt(string address) => node.PeersAt(address);

        public TSeam Create<TSeam>(PluginChoice<TSeam> choice)
            where TSeam : class => (TSeam)node.Make(typeof(TSeam), choice.Name, choice.Options, this, holder);

        public TSeam Resolve<TSeam>(string name)
            where TSeam : class => (TSeam)node.Make(typeof(TSeam), name, null, this, holder);

        public IReadOnlyList<string> NamesOf<TSeam>()
            where TSeam : class => node.NamesOf<TSeam>();

        public ITokenizer Tokenizer(string hash)
        {
            var tokenizer = node.Tokenizer(hash);
            holder.Took((object)tokenizer);
            return tokenizer;
        }

        public void AddTokenizer(ITokenizer tokenizer) => node.AddTokenizer(tokenizer);
    }
}
