namespace ColossalChat.Transfer;

/// <summary>How a node's <see cref="NetworkBlobLane"/> works.</summary>
public sealed record LaneSettings
{
    /// <summary>Longest <see cref="Contracts.BlobReference.Location"/>, characters.</summary>
    public const int LongestLocation = 512;

    /// <summary>Name or address to listen on; <c>0.0.0.0</c> for all of the machine's. Default: this machine only.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>Name or address by which other machines reach this one; at most 128 characters. Empty: <see cref="Host"/>.</summary>
    public string AdvertisedHost { get; init; } = "";

    /// <summary>Port to listen on, 0 to 65535; 0 takes a free one.</summary>
    public int Port { get; init; }

    /// <summary>Folder whose files live in memory. Empty: <c>/dev/shm</c>, or where temporary files go.</summary>
    public string MemoryFolder { get; init; } = "";

    /// <summary>Where blocks go for which the memory folder has no room, such as the run folder. Empty: where temporary files go.</summary>
    public string SpillFolder { get; init; } = "";

    /// <summary>Memory of withdrawn blocks that is kept for the next ones, bytes, 0 or more: what has been used before is much faster than new.</summary>
    public long Reserve { get; init; } = 256L << 20;

    /// <summary>
    /// Size, bytes, 0 or more, from which readers keep a block of another machine in their machine's memory and pass it on: such
    /// as weights, which many read. Smaller ones, such as batches, have few readers; each fetches from the publisher, and
    /// saves the copy.
    /// </summary>
    public long ChainFrom { get; init; } = 128L << 20;

    /// <summary>Most bytes that are sent per second, all readers together; 0 for no limit, else 65536 or more.</summary>
    public long Quota { get; init; }

    /// <summary>Blocks sent at the same time, 1 to 256; further readers wait their turn.</summary>
    public int Transfers { get; init; } = 8;

    /// <summary>Connections held open while they are served or greeted, 4 to 4096. When more come, the one that has been silent longest before its greeting goes.</summary>
    public int Connections { get; init; } = 64;

    /// <summary>Longest time for a greeting (and for TLS), however slowly it comes; more than zero.</summary>
    public TimeSpan Greeting { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest time without progress, from 100 ms: then another source is tried, or the reader is dropped. A mebibyte must go within it.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Longest time of one fetch as a whole; more than zero.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Who this machine is: processes with the same id that see the same memory folder share blocks. Empty: the id of the system's start.</summary>
    public string MachineId { get; init; } = "";

    /// <summary>Both ends of every connection must show a certificate of the run's authorities; null sends without encryption, for networks of your own.</summary>
    public TlsSettings? Tls { get; init; }

    /// <summary>Everything that is wrong, one sentence each.</summary>
    public IEnumerable<string> Problems()
    {
        if (Host.Length == 0)
            yield return "The lane's host is empty; give a name or address to listen on, such as 127.0.0.1.";
        if (AdvertisedHost.Length > LaneLocation.LongestHost || Host.Length > LaneLocation.LongestHost)
            yield return $"The lane's host has more than {LaneLocation.LongestHost} characters: '{(AdvertisedHost.Length > 0 ? AdvertisedHost : Host)}'.";
        if (AdvertisedHost.Length == 0 && Host is "0.0.0.0" or "::" or "*")
            yield return $"The lane listens on {Host}, which no other machine can call; set its advertised host to a name that they reach.";
        if (Port is < 0 or > 65535)
            yield return $"The lane's port is {Port}; it must be from 0 to 65535.";
        if (Reserve < 0 || ChainFrom < 0)
            yield return $"The lane's reserve is {Reserve} and its chain begins at {ChainFrom} bytes; both must be 0 or more.";
        if (Quota is not 0 and < Pace.Slowest)
            yield return $"The lane's quota is {Quota} bytes per second; it must be 0 (none) or {Pace.Slowest} or more.";
        if (Transfers is < 1 or > 256)
            yield return $"The lane's transfers is {Transfers}; it must be from 1 to 256.";
        if (Connections is < 4 or > 4096)
            yield return $"The lane's connections is {Connections}; it must be from 4 to 4096.";
        if (Greeting <= TimeSpan.Zero)
            yield return $"The lane's greeting limit is {Greeting}; it must be more than zero.";
        if (Silence < TimeSpan.FromMilliseconds(100))
            yield return $"The lane's silence limit is {Silence}; it must be 100 ms or more.";
        if (Deadline <= TimeSpan.Zero)
            yield return $"The lane's deadline is {Deadline}; it must be more than zero.";
        foreach (var folder in ((string Name, string Path)[])[("memory", MemoryFolder), ("spill", SpillFolder)])
            if (folder.Path.Length > 0 && !Directory.Exists(folder.Path))
                yield return $"The lane's {folder.Name} folder '{folder.Path}' does not exist; make it, or leave the setting empty.";
        if (MachineId.Length > LaneLocation.LongestMachine || MachineId.Contains('|', StringComparison.Ordinal))
            yield return $"The lane's machine id '{MachineId}' must have at most {LaneLocation.LongestMachine} characters and no '|'.";
        foreach (var problem in Tls?.Problems() ?? [])
            yield return problem;
    }
}
