using System.Runtime.CompilerServices;
using System.Text.Json;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Runs;

/// <summary>
/// The part that loads another version and binds the run to it. That runs code of the plugin, which may never return: it has
/// a thread of its own and a limit, and nobody who asks this exchange for anything else waits for it.
/// </summary>
internal sealed partial class PluginExchange
{
    // Questions come again while the first is being answered; each would cost one more thread.
    private readonly Dictionary<string, string> _hung = [];

    // As long as a role that is disposed: neither can be cancelled.
    private TimeSpan Limit => 2 * _binding.Current.Settings.Flow.CancelGrace;

    /// <summary>Loads a version, and binds the run to it.</summary>
    /// <param name="copy">The version.</param>
    /// <param name="question">Who asks; after it hung once the same question is refused at once.</param>
    /// <exception cref="UserErrorException">It cannot be used; the message says why.</exception>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private Tried Try(PluginCopy copy, string question)
    {
        lock (_lock)
            if (_hung.TryGetValue(question, out var hung))
                throw new UserErrorException(hung);
        Check(copy);
        var limit = Limit;
        var (bound, version) = (_binding.Current, _binding.Version);
        var hasReturned = false;
        var call = new LimitedCall<Tried>(() => Loaded(copy, bound, version), tried => GiveUp(tried, question, () => hasReturned = true));
        if (call.Within(limit, $"plugin {copy.Plugin}") is { } tried)
            return tried;
        var reason = $"It did not return within {limit}, which is twice flow.cancel-grace, while it was loaded: a static constructor, Register or its options hang. "
            + "That thread is lost until this process ends, and what it holds of the plugin cannot be unloaded. Mend it, then ask again with another build.";
        lock (_lock)
        {
            // Slow and not hung: it may be asked for again.
            if (!hasReturned)
                _hung[question] = reason;
        }

        throw new UserErrorException(reason);
    }

    private void Check(PluginCopy copy)
    {
        var folder = PlaceOf(copy);
        try
        {
            if (!Directory.Exists(folder))
                throw new UserErrorException($"{folder} is not there, where {copy.Plugin} from {copy.Source} was copied to; the run's folder must be on storage that all nodes share.");
            if (FolderFingerprint.Of(folder) is var found && found != copy.Fingerprint)
                throw new UserErrorException($"{folder} is not what was copied there from {copy.Source}: its SHA-256 is {found} in place of {copy.Fingerprint}. Nothing but the run may write there; ask again with another build.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException(
                $"{folder}, where {copy.Plugin} from {copy.Source} was copied to, cannot be read: {error.Message} Let the user that this process runs as read all of it, then ask again, or start the node again.",
                ExitCode.Resource, error);
        }
    }

    // On the thread that may be lost.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private Tried Loaded(PluginCopy copy, BoundRun current, int version)
    {
        var candidate = PluginCandidate.Load(copy.Plugin, PlaceOf(copy), copy.Source, current.Catalog.Pins.GetValueOrDefault(copy.Plugin));
        try
        {
            return new Tried(candidate, Rebound(candidate, current), version);
        }
        catch
        {
            lock (_lock)
                Retire(candidate);
            throw;
        }
    }

    // It returned after all, when nobody waited any more.
    private void GiveUp(Tried tried, string question, Action returned)
    {
        lock (_lock)
        {
            returned();
            _hung.Remove(question);
            Retire(tried.Candidate);
        }
    }

    // What the run is bound to by now may no longer be what the candidate was bound beside.
    private bool IsUpToDate(Tried tried) => tried.Version == _binding.Version && _pending is null;

    // Apart from the method that gives it up: a local of a running method would keep the candidate in memory.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private BoundRun Rebound(PluginCandidate candidate, BoundRun current)
    {
        var missing = _binding.Users.NamesOf(candidate.Info.Name)
            .Where(name => !candidate.Factories.Any(factory => factory.Seam == name.Seam && factory.Name == name.Name))
            .Select(name => $"{KebabCase.OfSeam(name.Seam)} '{name.Name}'").ToArray();
        if (missing.Length > 0)
            throw new UserErrorException($"It does not offer what this run uses of {candidate.Info.Name}: {string.Join(", ", missing)}.");
        var (bound, problems) = RunBinder.TryBind(current.Config, current.Catalog.With(candidate));
        if (bound is null || problems.Count > 0)
            throw new UserErrorException($"The run's configuration does not fit it:\n{string.Join('\n', problems)}");
        if (JsonSerializer.Serialize(bound.Plan) != JsonSerializer.Serialize(current.Plan))
            throw new UserErrorException("It changes the plan of the stage, which a run that is going on cannot follow. Stop the run, install it, and resume.");
        return bound;
    }

    private sealed record Tried(PluginCandidate Candidate, BoundRun Bound, int Version);
}
