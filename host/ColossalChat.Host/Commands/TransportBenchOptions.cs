using ColossalChat.Contracts;

namespace ColossalChat.Host.Commands;

/// <summary>Options of <c>bench transport</c>; the defaults are what issue 4 names.</summary>
internal sealed record TransportBenchOptions
{
    [CliHelp("Bytes of a block between two processes")]
    public int BlockBytes { get; init; } = 64 << 20;

    [CliHelp("Blocks of each turn")]
    public int Blocks { get; init; } = 12;

    [CliHelp("Turns; in each, all ways are measured one after the other, and the median of the turns' ratios counts")]
    public int Turns { get; init; } = 7;

    [CliHelp("Bytes of the publication that several processes read")]
    public int PublicationBytes { get; init; } = 1 << 30;

    [CliHelp("Processes that read the publication")]
    public int Readers { get; init; } = 4;

    [CliHelp("Turns of the publication")]
    public int PublicationTurns { get; init; } = 3;

    [CliHelp("One JSON document")]
    public bool Json { get; init; }

    [CliHelp("Used by the benchmark for the processes it starts: port of the one that measures")]
    public int? ChildOf { get; init; }

    [CliHelp("Used by the benchmark for the processes it starts: which reader this one is")]
    public int ChildNumber { get; init; }

    [CliHelp("Used by the benchmark for the processes it starts: folder with the certificates of this measurement")]
    public string ChildFolder { get; init; } = "";

    /// <summary>Everything wrong, one sentence each.</summary>
    public IEnumerable<string> Problems()
    {
        foreach (var (name, value, most) in ((string, int, int)[])[
            ("block-bytes", BlockBytes, 1 << 30), ("blocks", Blocks, 10_000), ("turns", Turns, 1000),
            ("publication-bytes", PublicationBytes, 1 << 30), ("readers", Readers, 64), ("publication-turns", PublicationTurns, 1000)])
            if (value < 1 || value > most)
                yield return $"{name} is {value}; it must be from 1 to {most}.";
        if (ChildOf is not null && ChildFolder.Length == 0)
            yield return "child-of needs a child-folder.";
    }
}
