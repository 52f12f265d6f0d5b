using System.Globalization;

namespace ColossalChat.Contracts;

/// <summary>
/// What this process holds of the host's memory that the system cannot drop by itself: anonymous memory. Mapped files
/// count for nothing, since the system writes them out when it needs the room.
/// </summary>
public static class ProcessMemory
{
    private const long Kibi = 1024;
    private static readonly Lazy<long> s_allowed = new(Least);

    /// <summary>Bytes now, those in swap included. Where the system does not tell, all that the process holds.</summary>
    public static long Now()
    {
        if (!OperatingSystem.IsLinux())
            return Environment.WorkingSet;
        var bytes = 0L;
        foreach (var line in File.ReadLines("/proc/self/status"))
            if (line.StartsWith("RssAnon:", StringComparison.Ordinal) || line.StartsWith("VmSwap:", StringComparison.Ordinal))
                bytes += Kibi * FirstNumber(line);
        return bytes;
    }

    /// <summary>Bytes that the machine, the process's control group and its resource limits allow, as they were when first asked.</summary>
    public static long Allowed => s_allowed.Value;

    private static long Least()
    {
        if (!OperatingSystem.IsLinux())
            return GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        var machine = Kibi * FirstNumber(File.ReadLines("/proc/meminfo").First(line => line.StartsWith("MemTotal:", StringComparison.Ordinal)));
        return GroupLimits().Append(DataLimit()).Append(machine).Min();
    }

    // Version 2 has one limit at each level of the hierarchy, version 1 one file.
    private static IEnumerable<long> GroupLimits()
    {
        const string root = "/sys/fs/cgroup";
        foreach (var line in File.ReadLines("/proc/self/cgroup"))
        {
            var words = line.Split(':', 3);
            if (words[1].Length > 0 && words[1] != "memory")
                continue;
            var (at, name) = words[1].Length == 0 ? (root, "memory.max") : (Path.Combine(root, "memory"), "memory.limit_in_bytes");
            for (var path = words[2].Trim('/'); ; path = Path.GetDirectoryName(path) ?? "")
            {
                var file = Path.Combine(at, path, name);
                if (File.Exists(file) && long.TryParse(File.ReadAllText(file).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var limit))
                    yield return limit;
                if (path.Length == 0)
                    break;
            }
        }
    }

    // What `ulimit -d` and `prlimit --data` set.
    private static long DataLimit()
    {
        const string name = "Max data size";
        var line = File.ReadLines("/proc/self/limits").First(line => line.StartsWith(name, StringComparison.Ordinal));
        return line[name.Length..].TrimStart().StartsWith("unlimited", StringComparison.Ordinal) ? long.MaxValue : FirstNumber(line);
    }

    private static long FirstNumber(string line) => long.Parse(
        line.Split(' ', '\t').First(word => word.Length > 0 && char.IsAsciiDigit(word[0])), NumberStyles.None, CultureInfo.InvariantCulture);
}
