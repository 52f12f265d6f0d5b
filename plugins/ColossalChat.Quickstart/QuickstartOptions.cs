using ColossalChat.Contracts;

namespace ColossalChat.Quickstart;

/// <summary>Flags of <c>quickstart</c>.</summary>
public sealed record QuickstartOptions
{
    /// <summary>Folder for data, models, runs and the report; must not hold a quickstart yet.</summary>
    [CliHelp("folder for data, models, runs and the report (default runs/quickstart)")]
    public string? Out { get; init; }

    /// <summary>Ends after the report, without the chat.</summary>
    [CliHelp("end after the report, without the chat")]
    public bool NoServe { get; init; }

    /// <summary>Seed of data, weights and sampling.</summary>
    [CliHelp("seed of data, weights and sampling (default 1)")]
    public ulong Seed { get; init; } = 1;

    /// <summary>Shrinks every stage to see only that all of it works; the numbers mean nothing then.</summary>
    [CliHelp("run a few steps of every stage only, to see that all of it works")]
    public bool Smoke { get; init; }
}
