using System.Runtime.CompilerServices;
using System.Text.Json;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Runs;

/// <summary>
/// Exchanges a plugin of a run on this node: the candidate is copied into the run's folder, loaded beside the version in
/// use, bound to the run's configuration, and then takes its place, or is given up.
/// </summary>
internal sealed partial class PluginExchange : IPluginExchange, IDisposable
{
    // Looks follow one another at growing distances: a batch that the old version made may be held until the next one.
    private const int MostLooks = 20;
    private readonly Lock _lock = new();
    private readonly RunBinding _binding;
    private readonly NodeContext _node;
    private readonly PluginCopies _copies;
    private readonly PluginWatch? _watch;
    private readonly RunFolder _folder;
    private readonly PluginsInUse? _inUseFile;
    private readonly INodeLog _log;
    private readonly List<Retiring> _retiring = [];
    private volatile IReadOnlyList<PluginCopy> _inUse = [];
    private Pending? _pending;

    /// <param name="binding">The run.</param>
    /// <param name="node">Its node.</param>
    /// <param name="folder">Its folder, which takes the copies.</param>
    /// <param name="watch">Looks after plugin folders; null when none are watched.</param>
    /// <param name="log">Takes what goes wrong on the way.</param>
    /// <param name="isSpread">The run is on several nodes, and its folder tells each which versions it has.</param>
    public PluginExchange(RunBinding binding, NodeContext node, RunFolder folder, PluginWatch? watch, INodeLog log, bool isSpread = false)
    {
        (_binding, _node, _folder, _watch, _log) = (binding, node, folder, watch, log);
        _copies = new PluginCopies(folder.In("plugins"));
        _inUseFile = isSpread ? new PluginsInUse(_copies.Root) : null;
    }

    private PluginCatalog Catalog => _binding.Current.Catalog;

    /// <summary>Writes down which versions the run begins with.</summary>
    /// <param name="iteration">Last finished iteration; 0 before training.</param>
    public void NoteAll(long iteration) => NoteVersions(iteration, Catalog.Plugins);

    /// <summary>
    /// This process leads the run from now on. What another that led it before found in a watched folder is no change for
    /// this one, which has looked into none since it was started.
    /// </summary>
    /// <param name="iteration">Last finished iteration; 0 before training.</param>
    public void Lead(long iteration)
    {
        if (!File.Exists(_folder.PluginVersions))
        {
            NoteAll(iteration);
            return;
        }

        var used = JsonLines.Read(_folder.PluginVersions).Select(line => line.Deserialize<PluginVersionLine>(JsonLines.Format)!).Select(line => (line.Plugin, line.Sha256)).ToHashSet();
        lock (_lock)
            _watch?.Skip((plugin, folder) => used.Contains((plugin, FolderFingerprint.OfFile(Path.Combine(folder, plugin + ".dll")))));
    }

    /// <inheritdoc/>
    public IReadOnlyList<SwapRequest> Changes()
    {
        lock (_lock)
            return _watch is null ? [] : [.. _watch.Look().Select(change => new SwapRequest(Guid.NewGuid().ToString("N"), change.Plugin, change.Folder) { IsWatched = true })];
    }

    /// <inheritdoc/>
    public SwapRequest Copied(SwapRequest request)
    {
        CurrentOf(request.Plugin);
        var source = PluginCopies.Find(request.Plugin, request.Folder);
        var copy = _copies.Take(request.Plugin, source);
        return request with { Copy = new PluginCopy(request.Plugin, Path.GetRelativePath(_copies.Root, copy), FolderFingerprint.Of(copy), source) };
    }

    /// <inheritdoc/>
    public SwapOffer Prepare(SwapRequest request)
    {
        lock (_lock)
        {
            if (_pending is { } same && same.Request.Id == request.Id)
                return OfferOf(same);
            ForgetLast();
            CurrentOf(request.Plugin);
        }

        return Offered(request, request.Copy ?? Copied(request).Copy!);
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Users(string id)
    {
        lock (_lock)
            return _binding.Users.RolesUsing(Find(id).Request.Plugin);
    }

    /// <inheritdoc/>
    public void Switch(string id)
    {
        lock (_lock)
        {
            var pending = Find(id);
            var (bound, swapped, inUse) = (_binding.Current, _binding.Swapped, _inUse);
            pending.Previous = new Previous(TakeOver(pending.Candidate, pending.Bound, pending.Copy), bound, swapped, inUse);
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void GoBack(string id)
    {
        lock (_lock)
        {
            if (_pending is not { } pending || pending.Request.Id != id)
                return;
            var candidate = pending.Candidate;
            if (pending.Previous is var (plugin, bound, swapped, inUse))
            {
                Evict(pending.Request.Plugin);
                candidate = bound.Catalog.Replace(plugin);
                _binding.Change(bound, swapped);
                _inUse = inUse;
            }

            _pending = null;
            Retire(candidate);
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public string Commit(string id)
    {
        lock (_lock)
        {
            if (_pending is not { } pending || pending.Request.Id != id)
                return "";
            var old = pending.Previous!.Plugin;
            _pending = null;
            Retire(old);
            return Advice(pending, old.Info.Folder);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<RetiredPlugin> Collect()
    {
        lock (_lock)
        {
            var told = new List<RetiredPlugin>();
            foreach (var retiring in _retiring.ToArray())
                if (LookAfter(retiring) is { } retired)
                {
                    told.Add(retired);
                    _retiring.Remove(retiring);
                }

            return told;
        }
    }

    /// <summary>Looks after all that is left, now that no role is.</summary>
    public IReadOnlyList<RetiredPlugin> CollectAll()
    {
        lock (_lock)
        {
            for (var look = 0; look < MostLooks && _retiring.Any(retiring => !retiring.Context.IsGone); look++)
                _retiring[0].Context.Collect();
            var told = _retiring.Select(retiring => Tell(retiring.Context)).ToArray();
            _retiring.Clear();
            return told;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_pending is { } pending)
            GoBack(pending.Request.Id);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private SwapOffer Offered(SwapRequest request, PluginCopy copy)
    {
        var tried = Try(copy, question: request.Id);
        lock (_lock)
        {
            var current = CurrentOf(request.Plugin);
            var refusal = !IsUpToDate(tried) ? "Another version was taken into use while this one was loaded; ask again."
                : tried.Candidate.Info.Sha256 == current.Sha256 ? $"Its dll is the one that is in use ({current.Version}, SHA-256 {current.Sha256}); there is nothing to exchange."
                : null;
            if (refusal is null)
                return OfferOf(_pending = new Pending(request, tried.Candidate, tried.Bound, copy) { OldVersion = current.Version });
            Retire(tried.Candidate);
            throw new UserErrorException(refusal);
        }
    }

    private Pending Find(string id) => _pending is { } pending && pending.Request.Id == id
        ? pending
        : throw new InvalidOperationException($"Exchange {id} is not known on this node.");

    private void Evict(string plugin)
    {
        try
        {
            var (call, limit) = (new LimitedCall<string>(() =>
            {
                _node.Evict(plugin);
                return plugin;
            }, _ => { }), Limit);
            if (call.Within(limit, $"evict {plugin}") is null)
                _log.Warning($"A shared object was not disposed within {limit}, because of which {plugin} stays in memory; its thread is lost until this process ends.");
        }
        catch (Exception error)
        {
            // A plugin's own Dispose; what it did not free is lost, and the run goes on.
            _log.Warning($"A shared object threw while it was disposed, because {plugin} is exchanged: {error.Message}");
        }
    }

    private void Retire(PluginCandidate version) => _retiring.Add(new Retiring(version.Retire()));

    private string Advice(Pending pending, string installed)
    {
        if (_inUseFile is not null)
            return $"Nodes that are started later load it from {_inUseFile.Folder}, whatever is in their plugin folder.";
        var (plugin, from) = (pending.Request.Plugin, pending.Copy.Source);
        return from == installed ? "" : $"A run that is started or resumed later has what is in {installed}: to keep this version, put the files of {from} there{(Path.GetFileName(installed) == plugin ? "" : $" as {plugin}")}.";
    }

    private static RetiredPlugin? LookAfter(Retiring retiring)
    {
        retiring.Ticks++;
        if (!retiring.Context.IsGone && retiring.Ticks < retiring.NextLook)
            return null;
        retiring.Looks++;
        retiring.NextLook = retiring.Ticks + Math.Max(1, retiring.Ticks / 2);
        return retiring.Context.Collect() || !retiring.Context.IsUnloaded || retiring.Looks >= MostLooks ? Tell(retiring.Context) : null;
    }

    private static RetiredPlugin Tell(RetiredContext context)
    {
        var name = $"{context.Info.Name} {context.Info.Version}";
        if (context.IsGone)
            return new RetiredPlugin(true, $"{name} is unloaded: nothing of it is left in memory.");
        return context.IsUnloaded
            ? new RetiredPlugin(false, $"{name} is not in use any more and stays in memory all the same: something still holds an object of it, such as a metric sink or a static event handler of the plugin. It costs its size until this process ends.")
            : new RetiredPlugin(true, $"{name} is not used by this run any more; it stays loaded, because the program itself uses it.");
    }

    private static SwapOffer OfferOf(Pending pending) =>
        new(pending.Request.Id, pending.Request.Plugin, pending.OldVersion, pending.Candidate.Info.Version, pending.Candidate.Info.Sha256);

    private void NoteVersions(long iteration, IEnumerable<PluginInfo> plugins)
    {
        using var versions = new JsonLines(_folder.PluginVersions);
        foreach (var plugin in plugins)
            versions.Append(new PluginVersionLine(iteration, plugin.Name, plugin.Version, plugin.Sha256, plugin.Folder));
    }

    private sealed record Pending(SwapRequest Request, PluginCandidate Candidate, BoundRun Bound, PluginCopy Copy)
    {
        public required string OldVersion { get; init; }

        public Previous? Previous { get; set; }
    }

    private sealed record Previous(PluginCandidate Plugin, BoundRun Bound, IReadOnlyDictionary<string, string> Swapped, IReadOnlyList<PluginCopy> InUse);

    private sealed class Retiring(RetiredContext context)
    {
        public RetiredContext Context { get; } = context;

        public int Ticks { get; set; }

        public int NextLook { get; set; }

        public int Looks { get; set; }
    }
}

/// <summary>A line of plugins.jsonl: from the iteration after this one on, this version is in use.</summary>
internal sealed record PluginVersionLine(long Iteration, string Plugin, string Version, string Sha256, string Folder);
