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
internal sealed class PluginExchange : IPluginExchange, IDisposable
{
    // Looks follow one another at growing distances: a batch that the old version made may be held until the next one.
    private const int MostLooks = 20;
    private readonly Lock _lock = new();
    private readonly RunBinding _binding;
    private readonly NodeContext _node;
    private readonly PluginCopies _copies;
    private readonly PluginWatch? _watch;
    private readonly JsonLines _versions;
    private readonly INodeLog _log;
    private readonly List<Retiring> _retiring = [];
    private Pending? _pending;

    /// <param name="binding">The run.</param>
    /// <param name="node">Its node.</param>
    /// <param name="folder">Its folder, which takes the copies.</param>
    /// <param name="watch">Looks after plugin folders; null when none are watched.</param>
    /// <param name="log">Takes what goes wrong on the way.</param>
    public PluginExchange(RunBinding binding, NodeContext node, RunFolder folder, PluginWatch? watch, INodeLog log)
    {
        (_binding, _node, _watch, _log) = (binding, node, watch, log);
        _copies = new PluginCopies(folder.In("plugins"));
        _versions = new JsonLines(folder.PluginVersions);
    }

    private PluginCatalog Catalog => _binding.Current.Catalog;

    /// <summary>Writes down which versions the run begins with.</summary>
    /// <param name="iteration">Last finished iteration; 0 before training.</param>
    public void NoteAll(long iteration)
    {
        foreach (var plugin in Catalog.Plugins)
            NoteVersion(iteration, plugin);
    }

    /// <inheritdoc/>
    public IReadOnlyList<SwapRequest> Changes()
    {
        lock (_lock)
            return _watch is null ? [] : [.. _watch.Look().Select(change => new SwapRequest(Guid.NewGuid().ToString("N"), change.Plugin, change.Folder) { IsWatched = true })];
    }

    /// <inheritdoc/>
    public SwapOffer Prepare(SwapRequest request)
    {
        lock (_lock)
        {
            if (_pending is not null)
                throw new InvalidOperationException($"Plugin {_pending.Request.Plugin} is being exchanged; one at a time.");
            var current = Catalog.Plugins.FirstOrDefault(plugin => plugin.Name == request.Plugin)
                ?? throw new UserErrorException(
                    $"This run has no plugin {request.Plugin}. {NearestName.Advice(request.Plugin, [.. Catalog.Plugins.Select(plugin => plugin.Name)], "plugins")}", ExitCode.NotFound);
            var source = PluginCopies.Find(request.Plugin, request.Folder);
            var copy = _copies.Take(request.Plugin, source);
            var candidate = PluginCandidate.Load(request.Plugin, copy, source, Catalog.Pins.GetValueOrDefault(request.Plugin));
            try
            {
                if (candidate.Info.Sha256 == current.Sha256)
                    throw new UserErrorException($"Its dll is the one that is in use ({current.Version}, SHA-256 {current.Sha256}); there is nothing to exchange.");
                _pending = new Pending(request, candidate, Rebound(candidate), copy);
            }
            catch
            {
                Retire(candidate);
                throw;
            }

            return new SwapOffer(request.Id, request.Plugin, current.Version, candidate.Info.Version, candidate.Info.Sha256);
        }
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
            Evict(pending.Request.Plugin);
            var (before, swapped) = (_binding.Current, _binding.Swapped);
            pending.Previous = (Catalog.Replace(pending.Candidate), before, swapped);
            _binding.Change(
                pending.Bound with { Catalog = before.Catalog }, new Dictionary<string, string>(swapped) { [pending.Request.Plugin] = pending.Copy });
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
            if (pending.Previous is var (plugin, bound, swapped))
            {
                Evict(pending.Request.Plugin);
                candidate = bound.Catalog.Replace(plugin);
                _binding.Change(bound, swapped);
            }

            _pending = null;
            Retire(candidate);
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public string Commit(string id, long iteration)
    {
        lock (_lock)
        {
            var pending = Find(id);
            var old = pending.Previous!.Value.Plugin;
            _pending = null;
            NoteVersion(iteration, pending.Candidate.Info);
            Retire(old);
            return Advice(pending.Request.Plugin, pending.Candidate.Info.Folder, old.Info.Folder);
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
        _versions.Dispose();
    }

    // Apart from the method that gives it up: a local of a running method would keep the candidate in memory.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private BoundRun Rebound(PluginCandidate candidate)
    {
        var current = _binding.Current;
        var missing = _binding.Users.NamesOf(candidate.Info.Name)
            .Where(name => !candidate.Factories.Any(factory => factory.Seam == name.Seam && factory.Name == name.Name))
            .Select(name => $"{KebabCase.OfSeam(name.Seam)} '{name.Name}'").ToArray();
        if (missing.Length > 0)
            throw new UserErrorException($"It does not offer what this run uses of {candidate.Info.Name}: {string.Join(", ", missing)}.");
        var (bound, problems) = RunBinder.TryBind(current.Config, Catalog.With(candidate));
        if (bound is null || problems.Count > 0)
            throw new UserErrorException($"The run's configuration does not fit it:\n{string.Join('\n', problems)}");
        if (JsonSerializer.Serialize(bound.Plan) != JsonSerializer.Serialize(current.Plan))
            throw new UserErrorException("It changes the plan of the stage, which a run that is going on cannot follow. Stop the run, install it, and resume.");
        return bound;
    }

    private Pending Find(string id) => _pending is { } pending && pending.Request.Id == id
        ? pending
        : throw new InvalidOperationException($"Exchange {id} is not known on this node.");

    private void Evict(string plugin)
    {
        try
        {
            _node.Evict(plugin);
        }
        catch (Exception error)
        {
            // A plugin's own Dispose; what it did not free is lost, and the run goes on.
            _log.Warning($"A shared object threw while it was disposed, because {plugin} is exchanged: {error.Message}");
        }
    }

    private void Retire(PluginCandidate version) => _retiring.Add(new Retiring(version.Retire()));

    private static string Advice(string plugin, string from, string installed) => from == installed
        ? ""
        : $"A run that is started or resumed later has what is in {installed}: to keep this version, put the files of {from} there{(Path.GetFileName(installed) == plugin ? "" : $" as {plugin}")}.";

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

    private void NoteVersion(long iteration, PluginInfo plugin) =>
        _versions.Append(new PluginVersionLine(iteration, plugin.Name, plugin.Version, plugin.Sha256, plugin.Folder));

    private sealed record Pending(SwapRequest Request, PluginCandidate Candidate, BoundRun Bound, string Copy)
    {
        public (PluginCandidate Plugin, BoundRun Bound, IReadOnlyDictionary<string, string> Swapped)? Previous { get; set; }
    }

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
