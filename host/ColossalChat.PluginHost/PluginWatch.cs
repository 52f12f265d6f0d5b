namespace ColossalChat.PluginHost;

/// <summary>
/// Looks after plugin folders that their authors build into. By looking, because a folder that is replaced by renaming
/// raises no event, and shared storage none at all. Not safe to use from several threads at once.
/// </summary>
/// <param name="folders">Folders by plugin name.</param>
public sealed class PluginWatch(IReadOnlyDictionary<string, string> folders)
{
    private readonly Dictionary<string, Seen> _seen = folders.ToDictionary(
        folder => folder.Key, folder => new Seen(FolderFingerprint.Stamp(folder.Value), FolderFingerprint.Of(folder.Value), null));

    /// <summary>Plugins whose folder has another content than before, and had the same at two looks; each content once.</summary>
    public IReadOnlyList<(string Plugin, string Folder)> Look()
    {
        var changed = new List<(string, string)>();
        foreach (var (plugin, folder) in folders)
            if (HasChanged(plugin, folder))
                changed.Add((plugin, folder));
        return changed;
    }

    /// <summary>Takes some of the folders for seen as they are now, however they were before.</summary>
    /// <param name="isKnown">Whether what a plugin's folder holds now is nothing new.</param>
    public void Skip(Func<string, string, bool> isKnown)
    {
        foreach (var (plugin, folder) in folders)
            if (SeenIfKnown(plugin, folder, isKnown) is { } seen)
                _seen[plugin] = seen;
    }

    private static Seen? SeenIfKnown(string plugin, string folder, Func<string, string, bool> isKnown)
    {
        try
        {
            return isKnown(plugin, folder) ? new Seen(FolderFingerprint.Stamp(folder), FolderFingerprint.Of(folder), null) : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null; // Being replaced, or not to be read: what comes is new.
        }
    }

    private bool HasChanged(string plugin, string folder)
    {
        var seen = _seen[plugin];
        try
        {
            // Being replaced: it is there again at another look.
            if (!File.Exists(Path.Combine(folder, plugin + ".dll")))
                return false;
            var stamp = FolderFingerprint.Stamp(folder);
            if (stamp == seen.Stamp && seen.Candidate is null)
                return false;
            var content = FolderFingerprint.Of(folder);
            var isSettled = content == seen.Candidate && stamp == seen.Stamp;
            _seen[plugin] = content == seen.Content ? new Seen(stamp, content, null)
                : isSettled ? new Seen(stamp, content, null)
                : seen with { Stamp = stamp, Candidate = content };
            return isSettled && content != seen.Content;
        }
        catch (IOException)
        {
            return false; // A file went away while it was read; the next look sees what came in its place.
        }
    }

    private sealed record Seen(string Stamp, string Content, string? Candidate);
}
