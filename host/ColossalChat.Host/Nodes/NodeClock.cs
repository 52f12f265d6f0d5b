using System.Globalization;

namespace ColossalChat.Host.Nodes;

/// <summary>
/// What time a node has, in a file on the storage that all nodes share: the storage stamps every file with a clock of its own, so
/// clocks of nodes are compared through it although none of them talks to another.
/// </summary>
internal static class NodeClock
{
    private const string FileName = "clock";

    /// <summary>Writes this process's time.</summary>
    /// <param name="folder">The node's.</param>
    public static void Tell(string folder)
    {
        var (draft, file) = (Path.Combine(folder, FileName + ".new"), Path.Combine(folder, FileName));
        using (var stream = File.Create(draft))
        {
            stream.Write(System.Text.Encoding.ASCII.GetBytes(DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture)));
            stream.Flush(flushToDisk: true);
        }

        File.Move(draft, file, overwrite: true);
    }

    /// <summary>By how much whoever wrote there was ahead of the storage's clock; null when nobody did.</summary>
    /// <param name="folder">The node's.</param>
    public static TimeSpan? AheadOfStorage(string folder)
    {
        var file = Path.Combine(folder, FileName);
        return File.Exists(file) && DateTimeOffset.TryParseExact(File.ReadAllText(file), "O", CultureInfo.InvariantCulture, DateTimeStyles.None, out var time)
            ? time.UtcDateTime - File.GetLastWriteTimeUtc(file)
            : null;
    }

    /// <summary>By how much this process is ahead of it.</summary>
    /// <param name="folder">Any that is there, on the same storage.</param>
    public static TimeSpan AheadHere(string folder)
    {
        var own = Directory.CreateDirectory(Path.Combine(folder, $".clock-{Guid.NewGuid():N}")).FullName;
        try
        {
            Tell(own);
            return AheadOfStorage(own) ?? throw new IOException($"{own}: a file that was written is not there.");
        }
        finally
        {
            Directory.Delete(own, recursive: true);
        }
    }
}
