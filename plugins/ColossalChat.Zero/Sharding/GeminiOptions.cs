using ColossalChat.Contracts;

namespace ColossalChat.Zero;

/// <summary>Where master weights, optimiser states and gradient sums lie.</summary>
public enum GeminiPlacement
{
    /// <summary>
    /// All in host memory, or on disk where the device is the host; after the first step, which tells how much memory all
    /// else needs, as many as fit within <see cref="GeminiOptions.MemoryLimitMb"/> move to the device.
    /// </summary>
    Auto,

    /// <summary>Beside the working weights.</summary>
    Device,

    /// <summary>In host memory.</summary>
    Host,

    /// <summary>In a file that is mapped into memory.</summary>
    Disk,
}

/// <summary>Settings of strategy <c>gemini</c>.</summary>
public sealed record GeminiOptions : ICheckedOptions
{
    /// <summary>Where the states lie: auto, device, host or disk; default auto.</summary>
    public GeminiPlacement Placement { get; init; } = GeminiPlacement.Auto;

    /// <summary>
    /// Memory that the process may use, for auto, in MiB; mapped files do not count. 0 takes 80 % of what the machine or the
    /// control group allows; with several rank processes on one machine set it, since each counts for itself. On a GPU it must
    /// be set, to what weights and states may take. 0 or more; default 0.
    /// </summary>
    public int MemoryLimitMb { get; init; }

    /// <summary>Smallest chunk in Mi elements. Above 0; default 4.</summary>
    public double MinChunkM { get; init; } = 4;

    /// <summary>How far above the smallest chunk the search goes, in Mi elements. 0 or more; default 32.</summary>
    public double SearchRangeM { get; init; } = 32;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (MemoryLimitMb < 0)
            yield return $"memory-limit-mb is {MemoryLimitMb}; it must be 0 (80 % of the memory) or more.";
        if (MinChunkM is not > 0)
            yield return $"min-chunk-m is {MinChunkM}; it must be above 0.";
        if (SearchRangeM is not >= 0)
            yield return $"search-range-m is {SearchRangeM}; it must be 0 or more.";
    }
}
