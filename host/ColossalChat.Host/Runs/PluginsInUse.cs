using System.Text.Json;
using ColossalChat.Cluster;
using ColossalChat.Contracts;

namespace ColossalChat.Host.Runs;

/// <summary>
/// Which versions of exchanged plugins a run on several nodes has, in a file of its folder. There is one moment in which an
/// exchange is made: when this file is renamed into its place.
/// </summary>
/// <param name="folder">Where the copies are.</param>
internal sealed class PluginsInUse(string folder)
{
    private readonly string _file = Path.Combine(folder, "in-use.json");

    /// <summary>Where the copies are.</summary>
    public string Folder => folder;

    /// <summary>What is written there; nothing in a run that never exchanged any.</summary>
    /// <exception cref="UserErrorException">It cannot be read.</exception>
    public IReadOnlyList<PluginCopy> Read()
    {
        try
        {
            return File.Exists(_file) ? JsonSerializer.Deserialize<PluginCopy[]>(File.ReadAllBytes(_file), JsonLines.Format)! : [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new UserErrorException(
                $"{_file}, which says which plugin versions the run has, cannot be read: {error.Message} Restore it, or remove it to go on with what is in the plugin folders.",
                ExitCode.Invalid, error);
        }
    }

    /// <summary>Writes it, whole or not at all.</summary>
    /// <exception cref="IOException">It could not be written; what was there before stays.</exception>
    public void Write(IReadOnlyList<PluginCopy> versions)
    {
        var draft = $"{_file}.{Guid.NewGuid():N}";
        using (var stream = File.Create(draft))
        {
            stream.Write(JsonSerializer.SerializeToUtf8Bytes(versions, JsonLines.Format));
            stream.Flush(flushToDisk: true);
        }

        File.Move(draft, _file, overwrite: true);
    }
}
