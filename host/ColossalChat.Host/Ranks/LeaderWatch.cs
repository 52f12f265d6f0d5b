using System.Diagnostics;

namespace ColossalChat.Host.Ranks;

/// <summary>
/// Ends this process with the one that leads the run, whatever it is doing. The leading process holds the other end of a
/// pipe and writes nothing, so the pipe ends with it, also when it was killed and before anybody met.
/// </summary>
internal static class LeaderWatch
{
    /// <summary>Watches on a thread of its own; a process that ends by itself leaves it behind.</summary>
    /// <param name="pipe">From the leading process.</param>
    /// <param name="config">The configuration that it put into the folder where its ranks meet.</param>
    public static void Start(Stream pipe, string config) => new Thread(() =>
    {
        AwaitEnd(pipe);
        Clear(Path.GetDirectoryName(Path.GetFullPath(config))!);
        // Nobody hears of this process any more. Its threads may be anywhere in native code, where an orderly end waits for
        // them or crashes; all that it holds is memory and files without names.
        using var self = Process.GetCurrentProcess();
        self.Kill();
    })
    {
        IsBackground = true,
        Name = "leader watch",
    }.Start();

    private static void AwaitEnd(Stream pipe)
    {
        var nothing = new byte[256];
        try
        {
            while (pipe.Read(nothing) > 0)
                continue;
        }
        catch (IOException)
        {
            return; // A broken pipe has ended too.
        }
    }

    // Only what a leading process made for its ranks, which it can no longer clear away itself.
    private static void Clear(string folder)
    {
        if (!Path.GetFileName(folder).StartsWith(RankProcesses.FolderPrefix, StringComparison.Ordinal))
            return;
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return; // Another rank is at it too; the last one finds nobody in its way.
        }
    }
}
