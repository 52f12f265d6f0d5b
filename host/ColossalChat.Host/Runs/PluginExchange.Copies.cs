using System.Runtime.CompilerServices;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Runs;

/// <summary>The part that brings a node of several to the versions that the run's folder names.</summary>
internal sealed partial class PluginExchange
{
    /// <inheritdoc/>
    public IReadOnlyList<PluginCopy> InUse => _inUse;

    /// <inheritdoc/>
    public void Record(string id, long iteration)
    {
        lock (_lock)
        {
            var pending = Find(id);
            if (pending.Previous is null)
                throw new InvalidOperationException($"Exchange {id} was not made on this node.");
            _inUseFile?.Write(_inUse);
            try
            {
                NoteVersions(iteration, [pending.Candidate.Info]);
            }
            catch (Exception error) when (_inUseFile is not null && error is IOException or UnauthorizedAccessException)
            {
                // The line is for whoever reads; what the run has is written by now and must not be taken back for it.
                _log.Warning($"{_folder.PluginVersions} does not say that {pending.Request.Plugin} {pending.Candidate.Info.Version} is in use: {error.Message}");
            }
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<PluginCopy> Recorded() => _inUseFile?.Read() ?? [];

    /// <inheritdoc/>
    public bool IsRecorded(SwapRequest request) => Recorded().FirstOrDefault(copy => copy.Plugin == request.Plugin) is { } recorded
        && recorded.Fingerprint == FolderFingerprint.Of(PluginCopies.Find(request.Plugin, request.Folder));

    /// <inheritdoc/>
    public bool Uses(IReadOnlyList<PluginCopy> versions)
    {
        lock (_lock)
            return _pending?.Previous is null && versions.ToHashSet().SetEquals(_inUse);
    }

    /// <inheritdoc/>
    public void Use(IReadOnlyList<PluginCopy> versions)
    {
        // Something else may be prepared while one is loaded; then it is given up, and this looked at again.
        while (Missing(versions) is { Length: > 0 } missing)
            foreach (var version in missing)
                Adopt(version);
    }

    private PluginCopy[] Missing(IReadOnlyList<PluginCopy> versions)
    {
        lock (_lock)
        {
            if (Uses(versions))
                return [];
            Settle(versions);
            var strange = _inUse.Where(used => versions.All(version => version.Plugin != used.Plugin)).Select(used => used.Plugin).ToArray();
            if (strange.Length > 0)
                throw new UserErrorException($"This node has exchanged {string.Join(", ", strange)}, of which the run knows nothing any more; start the node again.", ExitCode.Failed);
            return [.. versions.Except(_inUse)];
        }
    }

    // Whoever led the run may have died between any two steps; what is written decides.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Settle(IReadOnlyList<PluginCopy> versions)
    {
        if (_pending is not { } pending)
            return;
        if (pending.Previous is not null && versions.Contains(pending.Copy))
            Commit(pending.Request.Id);
        else
            GoBack(pending.Request.Id);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Adopt(PluginCopy version)
    {
        var tried = Try(version, question: version.Fingerprint);
        lock (_lock)
        {
            Retire(IsUpToDate(tried) ? TakeOver(tried.Candidate, tried.Bound, version) : tried.Candidate);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private PluginCandidate TakeOver(PluginCandidate candidate, BoundRun bound, PluginCopy copy)
    {
        Evict(copy.Plugin);
        var old = Catalog.Replace(candidate);
        _binding.Change(bound with { Catalog = Catalog }, new Dictionary<string, string>(_binding.Swapped) { [copy.Plugin] = PlaceOf(copy) });
        _inUse = [.. _inUse.Where(used => used.Plugin != copy.Plugin), copy];
        return old;
    }

    private string PlaceOf(PluginCopy copy) => Path.Combine(_copies.Root, copy.Place);

    private PluginInfo CurrentOf(string plugin) => Catalog.Plugins.FirstOrDefault(known => known.Name == plugin)
        ?? throw new UserErrorException(
            $"This run has no plugin {plugin}. {NearestName.Advice(plugin, [.. Catalog.Plugins.Select(known => known.Name)], "plugins")}", ExitCode.NotFound);

    // Its answer was lost, or whoever asked for it is gone. A node without roles hears of no new attempt, and may have been
    // left with one that is half made.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ForgetLast()
    {
        if (_pending is not { } pending)
            return;
        if (_inUseFile is null)
            throw new InvalidOperationException($"Plugin {pending.Request.Plugin} is being exchanged; one at a time.");
        Settle(Recorded());
    }
}
