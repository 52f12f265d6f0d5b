using System.Net;
using System.Net.Sockets;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Nodes;

/// <summary>Whether a folder's storage does what a run relies on.</summary>
internal static class StorageProbe
{
    /// <summary>Tries it with files of its own, which go again.</summary>
    /// <param name="folder">A run's folder; where it is not there yet, the nearest folder above it.</param>
    /// <returns>Null when all is well; else what is wrong and what to do, some sentences.</returns>
    public static string? Look(string folder)
    {
        var there = Path.GetFullPath(folder);
        while (!Directory.Exists(there) && Path.GetDirectoryName(there) is { } above)
        {
            if (File.Exists(there))
                return $"{Path.GetFullPath(folder)} cannot be made, because {there} is a file. Set run.folder to another place.";
            there = above;
        }

        var probe = new RunFolder(Path.Combine(there, $".doctor-{Guid.NewGuid():N}"));
        try
        {
            Directory.CreateDirectory(probe.Path);
            try
            {
                return Try(probe);
            }
            finally
            {
                Directory.Delete(probe.Path, recursive: true);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return $"{there} cannot be written to: {error.Message} Set run.folder to a place where this user may write.";
        }
    }

    private static string? Try(RunFolder probe)
    {
        var (draft, file) = (probe.In("draft"), probe.In("file"));
        File.WriteAllText(file, "old");
        using (var stream = File.Create(draft))
        {
            stream.Write("new"u8);
            stream.Flush(flushToDisk: true);
        }

        File.Move(draft, file, overwrite: true);
        if (File.ReadAllText(file) != "new" || File.Exists(draft))
            return $"{probe.Path}: a file that was renamed over another is not the new one at once. Take storage with atomic renames: checkpoints and coordinators rely on them.";
        using (probe.Hold())
            if (!probe.IsHeld())
                return $"{probe.Path}: locks do not hold, so two processes could write into one run. Take storage with file locks (NFS: version 4, or mount it without nolock).";
        return probe.IsHeld() ? $"{probe.Path}: a lock stays after it was given back. Take storage with file locks." : null;
    }
}

/// <summary>Whether a port can be opened here.</summary>
internal static class PortProbe
{
    /// <summary>Opens it for a moment.</summary>
    /// <param name="host">Name or address to listen on.</param>
    /// <param name="port">0 to 65535; 0 for any.</param>
    /// <returns>Null when it can; else why not, one sentence.</returns>
    public static string? Look(string host, int port)
    {
        try
        {
            var address = IPAddress.TryParse(host, out var parsed) ? parsed : Dns.GetHostAddresses(host).First(found => found.AddressFamily == AddressFamily.InterNetwork);
            using var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(address, port));
            listener.Listen();
            return null;
        }
        catch (SocketException error)
        {
            return error.SocketErrorCode == SocketError.AddressAlreadyInUse ? "another program has it." : $"{error.Message}.";
        }
        catch (InvalidOperationException)
        {
            return "the name has no IPv4 address.";
        }
    }
}
