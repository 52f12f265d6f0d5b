using System.Globalization;
using ColossalChat.Contracts;

namespace ColossalChat.EndToEndTests;

/// <summary>What goes wrong in a run.</summary>
public enum FaultKind
{
    /// <summary>SIGKILL of a process; it is started again from outside.</summary>
    Kill,

    /// <summary>SIGSTOP of a process, and SIGCONT later: it comes back as somebody whom the others may have given up.</summary>
    Pause,

    /// <summary>The network between two nodes, mended later.</summary>
    Cut,

    /// <summary>No room for a checkpoint, until one could not be written.</summary>
    Disk,

    /// <summary>The reward plugin throws.</summary>
    Throw,

    /// <summary>The reward plugin does not return.</summary>
    Hang,

    /// <summary>The reward plugin gives NaN for an answer of each batch of an iteration.</summary>
    NotANumber,

    /// <summary>The reward plugin gives infinity and says that all is well.</summary>
    Infinite,
}

/// <summary>Whom a fault takes.</summary>
public enum FaultClass
{
    /// <summary>Rollout or scoring: nothing is lost with it.</summary>
    Stateless,

    /// <summary>A rank of the trainer groups.</summary>
    Trainer,

    /// <summary>Whoever leads the run.</summary>
    Coordinator,

    /// <summary>Something else.</summary>
    Other,
}

/// <summary>One fault at one moment of a run, drawn from its number.</summary>
/// <param name="Number">Number of the run, from 0.</param>
/// <param name="Kind">What happens.</param>
/// <param name="Class">To whom.</param>
/// <param name="Target">Short name of the node; of the coordinator whoever leads.</param>
/// <param name="Other">The node at the other end of a cut.</param>
/// <param name="After">Last reported iteration before the fault.</param>
/// <param name="Share">Part of an iteration that passes after that, from 0 to 1.</param>
/// <param name="Lasts">How long a pause or a cut lasts.</param>
public sealed record ChaosPlan(int Number, FaultKind Kind, FaultClass Class, string Target, string Other, long After, double Share, TimeSpan Lasts)
{
    private static readonly (FaultKind Kind, FaultClass Class)[] s_deck =
    [
        .. Enumerable.Range(0, 4).SelectMany(_ => Classes.Select(whom => (FaultKind.Kill, whom))),
        .. Enumerable.Range(0, 3).SelectMany(_ => Classes.Select(whom => (FaultKind.Pause, whom))),
        .. Enumerable.Repeat((FaultKind.Cut, FaultClass.Other), 4),
        (FaultKind.Disk, FaultClass.Other), (FaultKind.Throw, FaultClass.Other), (FaultKind.Hang, FaultClass.Other),
        (FaultKind.NotANumber, FaultClass.Other), (FaultKind.Infinite, FaultClass.Other),
    ];

    private static FaultClass[] Classes => [FaultClass.Stateless, FaultClass.Trainer, FaultClass.Coordinator];

    /// <summary>Runs of the whole deck.</summary>
    public static int Runs => s_deck.Length;

    /// <summary>The reward plugin of the tests takes part.</summary>
    public bool IsPlugin => Kind is FaultKind.Throw or FaultKind.Hang or FaultKind.NotANumber or FaultKind.Infinite;

    /// <summary>The plan of a run.</summary>
    /// <param name="number">Which; the first twelve kill one of each class in turn.</param>
    /// <param name="iterations">Iterations of the run.</param>
    public static ChaosPlan Of(int number, int iterations)
    {
        var (kind, whom) = s_deck[number];
        var random = new RandomKey((ulong)number, RandomPurpose.Data);
        var nodes = ClusterRun.Six.Select(node => node.Name).ToArray();
        string[] candidates = whom switch
        {
            FaultClass.Stateless => ["r1", "r2", "s"],
            FaultClass.Trainer => ["t1", "t2"],
            FaultClass.Coordinator => ["the coordinator"],
            _ => nodes,
        };
        var target = candidates[(int)(random.Uniform(0) * candidates.Length)];
        var others = nodes.Where(node => node != target).ToArray();

        // A checkpoint must be due after the disk is full, and one more when there is room again.
        var latest = kind == FaultKind.Disk ? iterations - 10 : iterations - 2;
        return new ChaosPlan(
            number, kind, whom, target, others[(int)(random.Uniform(1) * others.Length)], 1 + (long)(random.Uniform(2) * latest), random.Uniform(3),
            TimeSpan.FromSeconds(2 + (18 * random.Uniform(4))));
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"run {Number}: {Kind} of {Victim} {Share:0.00} of an iteration after {After}{(Kind is FaultKind.Pause or FaultKind.Cut ? $", for {Lasts.TotalSeconds:0.0} s" : "")}");

    private string Victim => Kind switch
    {
        FaultKind.Kill or FaultKind.Pause => Target,
        FaultKind.Cut => $"{Target}-{Other}",
        FaultKind.Disk => "the checkpoints' disk",
        _ => "the reward plugin",
    };
}
