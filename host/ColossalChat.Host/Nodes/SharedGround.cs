namespace ColossalChat.Host.Nodes;

/// <summary>
/// What processes must have in common to meet in a folder and share memory: the kernel, the network of the loopback address,
/// and what lies behind the temporary folder and the shared memory. Containers of one machine have the first only.
/// </summary>
internal static class SharedGround
{
    private static readonly string[] s_folders = [Path.GetTempPath(), "/dev/shm"];

    /// <summary>Text that is equal for processes that have all of it in common.</summary>
    public static string Describe()
    {
        const string boot = "/proc/sys/kernel/random/boot_id";
        if (!File.Exists(boot))
            return Environment.MachineName;
        var network = new FileInfo("/proc/self/ns/net").LinkTarget ?? "";
        var mounts = File.ReadAllLines("/proc/self/mountinfo");
        return string.Join('\n', [File.ReadAllText(boot).Trim(), network, .. s_folders.Select(folder => PlaceOf(folder, mounts))]);
    }

    /// <summary>The file system that a folder lies on and where on it, whatever name it has here.</summary>
    /// <param name="folder">Absolute path.</param>
    /// <param name="mounts">Lines of <c>/proc/self/mountinfo</c>.</param>
    internal static string PlaceOf(string folder, IEnumerable<string> mounts)
    {
        var path = Path.TrimEndingDirectorySeparator(folder);
        var (device, root, point) = mounts
            .Select(line => line.Split(' '))
            .Where(words => words.Length > 4)
            .Select(words => (Device: words[2], Root: words[3].TrimEnd('/'), Point: words[4].TrimEnd('/')))
            .Where(mount => path == mount.Point || path.StartsWith(mount.Point + "/", StringComparison.Ordinal))
            .Reverse() // Of several at one point the last hides the others.
            .DefaultIfEmpty((Device: "", Root: "", Point: ""))
            .MaxBy(mount => mount.Point.Length);
        return $"{device} {root}{path[point.Length..]}";
    }
}
