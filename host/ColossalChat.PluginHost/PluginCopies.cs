using ColossalChat.Contracts;

namespace ColossalChat.PluginHost;

/// <summary>
/// Private copies of plugin folders, named for their content. What is loaded is a copy, so that whoever builds into the
/// plugin's folder, or is half-way through, changes nothing of what runs.
/// </summary>
/// <param name="root">Folder that takes them; made when the first one is.</param>
public sealed class PluginCopies(string root)
{
    private const int Tries = 5;
    private const int DigitsOfName = 16;

    /// <summary>Full path of the folder that takes them.</summary>
    public string Root { get; } = Path.GetFullPath(root);

    /// <summary>Finds a plugin's folder.</summary>
    /// <param name="plugin">Name of the plugin.</param>
    /// <param name="folder">The folder that holds its dll, whatever it is called, or a folder of plugins.</param>
    /// <exception cref="UserErrorException">Neither holds it.</exception>
    public static string Find(string plugin, string folder)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        foreach (var candidate in (string[])[full, Path.Combine(full, plugin)])
            if (File.Exists(Path.Combine(candidate, plugin + ".dll")))
                return candidate;
        throw new UserErrorException(
            $"There is no {plugin}.dll in {full}, nor in a folder {plugin} there. Give the folder that the plugin's build wrote; its dll must keep its name.");
    }

    /// <summary>Copies a plugin's folder; one that was copied before is not copied again.</summary>
    /// <param name="plugin">Name of the plugin, which the copy gets too.</param>
    /// <param name="folder">The folder that holds its dll.</param>
    /// <returns>Full path of the copy.</returns>
    /// <exception cref="UserErrorException">The folder went on changing, or cannot be read.</exception>
    public string Take(string plugin, string folder)
    {
        string last = "";
        for (var attempt = 0; attempt < Tries; attempt++)
        {
            try
            {
                var fingerprint = FolderFingerprint.Of(folder);
                var place = Path.Combine(Root, fingerprint[..DigitsOfName]);
                var copy = Path.Combine(place, plugin);
                if (Directory.Exists(copy) && FolderFingerprint.Of(copy) == fingerprint)
                    return copy;
                if (TryCopy(plugin, folder, place, fingerprint))
                    return copy;
                last = "it changed while it was copied";
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                last = error.Message;
            }
        }

        throw new UserErrorException($"Plugin folder {folder} could not be copied: {last}. Wait until what writes there is finished, then ask again.");
    }

    // Under another name until it is whole: another process may look for the same content.
    private bool TryCopy(string plugin, string folder, string place, string fingerprint)
    {
        var draft = Path.Combine(Root, $".{Guid.NewGuid():N}");
        var inside = Directory.CreateDirectory(Path.Combine(draft, plugin)).FullName;
        foreach (var file in FolderFingerprint.Files(folder))
        {
            var target = Path.Combine(inside, Path.GetRelativePath(folder, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        var isWhole = FolderFingerprint.Of(inside) == fingerprint;
        if (isWhole && !Directory.Exists(place))
            Directory.Move(draft, place);
        else
            Directory.Delete(draft, recursive: true);
        return isWhole && FolderFingerprint.Of(Path.Combine(place, plugin)) == fingerprint;
    }
}
