using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Somebody wants another version of a plugin in a run that is going on.</summary>
/// <param name="Id">Names the request in answers and in messages.</param>
/// <param name="Plugin">Name of the plugin.</param>
/// <param name="Folder">Full path of the folder that holds the other version.</param>
public sealed record SwapRequest(string Id, string Plugin, string Folder)
{
    /// <summary>True when nobody waits for an answer: the plugin's watched folder changed.</summary>
    public bool IsWatched { get; init; }

    /// <summary>The copy that all nodes load; null before there is one.</summary>
    public PluginCopy? Copy { get; init; }
}

/// <summary>A version of a plugin in the run's folder, where all nodes of the run find it.</summary>
/// <param name="Plugin">Name of the plugin.</param>
/// <param name="Place">Its folder below <c>plugins</c> in the run's folder.</param>
/// <param name="Fingerprint">SHA-256 of all files' names and content; whoever loads it checks that first.</param>
/// <param name="Source">Full path of the folder that it was copied from.</param>
public sealed record PluginCopy(string Plugin, string Place, string Fingerprint, string Source);

/// <summary>A version that a node has loaded beside the one in use.</summary>
/// <param name="Id">The request.</param>
/// <param name="Plugin">Name of the plugin.</param>
/// <param name="Old">Version in use.</param>
/// <param name="New">Version on offer.</param>
/// <param name="Sha256">Of the offered main dll.</param>
public sealed record SwapOffer(string Id, string Plugin, string Old, string New, string Sha256);

/// <summary>What became of a context that is no longer in use.</summary>
/// <param name="IsGone">True when its memory is free; false when it stays, because somebody still holds something of it.</param>
/// <param name="Message">One sentence for the user.</param>
public sealed record RetiredPlugin(bool IsGone, string Message);

/// <summary>
/// What one node can do to change a plugin while a run goes on: one change at a time, each step asked for by whoever
/// leads the run. Safe to use from several threads.
/// </summary>
public interface IPluginExchange
{
    /// <summary>Versions in use in place of those that the process was started with, by plugin. One that is tried counts.</summary>
    IReadOnlyList<PluginCopy> InUse { get; }

    /// <summary>Watched plugin folders whose content has changed and is whole by now; each change is told once.</summary>
    IReadOnlyList<SwapRequest> Changes();

    /// <summary>Copies the candidate into the run's folder.</summary>
    /// <returns>The request with its copy.</returns>
    /// <exception cref="UserErrorException">It is not there, or went on changing.</exception>
    SwapRequest Copied(SwapRequest request);

    /// <summary>Loads the other version beside the one in use, and binds the run's configuration to it. One without a copy is copied first.</summary>
    /// <exception cref="UserErrorException">It cannot take the place; the message says all that is wrong.</exception>
    SwapOffer Prepare(SwapRequest request);

    /// <summary>Slots of the roles on this node that hold an object of the plugin, or one that does.</summary>
    IReadOnlyList<string> Users(string id);

    /// <summary>From now on roles are made with the offered version. All users must be disposed by now.</summary>
    void Switch(string id);

    /// <summary>From now on roles are made with the version that was there before, and the offer is forgotten. Does nothing when there is none.</summary>
    void GoBack(string id);

    /// <summary>
    /// Asked of the leading process alone, when all nodes found the offered version good: writes into the run's folder that
    /// it is the run's from now on. Whatever happens to nodes afterwards, they end on it.
    /// </summary>
    /// <param name="id">The request.</param>
    /// <param name="iteration">Last finished iteration.</param>
    void Record(string id, long iteration);

    /// <summary>The offered version stays. Does nothing when there is none.</summary>
    /// <param name="id">The request.</param>
    /// <returns>What the user does to have this version in later runs too.</returns>
    string Commit(string id);

    /// <summary>What <see cref="Record"/> wrote, of whichever process that led the run.</summary>
    /// <exception cref="UserErrorException">It cannot be read.</exception>
    IReadOnlyList<PluginCopy> Recorded();

    /// <summary>True when what <see cref="Record"/> wrote names of the plugin what the request's folder holds now.</summary>
    /// <exception cref="UserErrorException">It cannot be read, or the folder holds no such plugin.</exception>
    bool IsRecorded(SwapRequest request);

    /// <summary>True when this node uses these versions and tries no other.</summary>
    bool Uses(IReadOnlyList<PluginCopy> versions);

    /// <summary>
    /// From now on roles are made with these versions, whatever was being tried. All roles of the node must be disposed,
    /// unless it uses them already.
    /// </summary>
    /// <exception cref="UserErrorException">One of them cannot be loaded; the message says which and why.</exception>
    void Use(IReadOnlyList<PluginCopy> versions);

    /// <summary>Looks once after each version that was given up; tells each once, when it is gone or when it has had its time.</summary>
    IReadOnlyList<RetiredPlugin> Collect();
}
