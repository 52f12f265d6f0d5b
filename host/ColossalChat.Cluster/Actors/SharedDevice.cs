using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>A device that roles use in turns.</summary>
/// <param name="Leases">Turns on devices.</param>
/// <param name="Name">Such as <c>cpu</c>.</param>
/// <param name="Party">Those who hold it together, because they wait for each other while they compute; null for one role alone.</param>
internal sealed record SharedDevice(IDeviceLeases Leases, string Name, string? Party)
{
    /// <summary>Waits for a turn; disposing the result ends it.</summary>
    public IDisposable Take(CancellationToken cancel) => Party is null ? Leases.Take(Name, cancel) : Leases.Take(Name, Party, cancel);
}
