using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;

namespace ColossalChat.Host.Ranks;

/// <summary>Which process has which rank: rank 0 is always in the one that leads the run.</summary>
/// <param name="Trainer">Section <c>trainer</c>.</param>
internal sealed record RankLayout(TrainerSettings Trainer)
{
    /// <summary>Longest wait of ranks for each other's start: a process loads plugins and models first.</summary>
    public static readonly TimeSpan StartDeadline = TimeSpan.FromMinutes(10);

    /// <summary>All ranks.</summary>
    public IEnumerable<int> Ranks => Enumerable.Range(0, Trainer.Ranks);

    /// <summary>The child process of a rank, from 0; null for those in the leading process.</summary>
    public int? ProcessOf(int rank) => rank == 0 || Trainer.Processes == 0 ? null : (rank - 1) % Trainer.Processes;

    /// <summary>A rank's place. Groups of different attempts have different names, so that a late rank never meets new ones.</summary>
    public RankPlace PlaceOf(string model, int rank, long attempt) => new($"{model}.{attempt}", rank, Trainer.Ranks);

    /// <summary>
    /// Makes a rank's trainer in this process. Rank 0 trains the node's own models, which other roles read; the others have
    /// models of their own.
    /// </summary>
    /// <param name="node">The node of rank 0, or one that is this rank's alone.</param>
    /// <param name="settings">The run's.</param>
    /// <param name="model">Name of the model.</param>
    /// <param name="rank">Which rank.</param>
    /// <param name="attempt">Attempt of the run.</param>
    /// <param name="peers">Where the ranks meet.</param>
    public ITrainerRole Make(NodeContext node, RunSettings settings, string model, int rank, long attempt, IPeerLinks peers) =>
        node.At(RoleSlots.Of(new TrainerId(model, rank)), PlaceOf(model, rank, attempt), peers).Create(settings.Roles.Trainers[model]);
}
