using System.Collections.Concurrent;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>What to replay.</summary>
public sealed record ReplayRequest
{
    /// <summary>
    /// The run's plan, makers of its experience role and trainers, devices, and a folder of the replay's own. What it says about
    /// checkpoints, journal, prompts, answers and scores does not count.
    /// </summary>
    public required RunDefinition Definition { get; init; }

    /// <summary>The journal that is replayed.</summary>
    public required RunJournal Journal { get; init; }

    /// <summary>Where it begins; null for the weights before training.</summary>
    public Checkpoint? From { get; init; }

    /// <summary>Last iteration that is replayed; after <see cref="From"/>.</summary>
    public required long Last { get; init; }

    /// <summary>Writes a checkpoint of the last iteration into the replay's folder. Default no.</summary>
    public bool SavesLast { get; init; }
}

/// <summary>An iteration that was trained again.</summary>
/// <param name="Iteration">Which.</param>
/// <param name="Journalled">Content hash of each model after it, as the run had it.</param>
/// <param name="Replayed">The same, as the replay has it.</param>
/// <param name="Metrics">The replay's numbers.</param>
public sealed record ReplayedIteration(
    long Iteration,
    IReadOnlyDictionary<string, string> Journalled,
    IReadOnlyDictionary<string, string> Replayed,
    IReadOnlyDictionary<string, double> Metrics)
{
    /// <summary>True when every trained model has the same weights, bit for bit.</summary>
    public bool IsIdentical => Replayed.Count > 0
        && Replayed.All(model => Journalled.TryGetValue(model.Key, out var hash) && hash == model.Value);
}

/// <summary>How a replay ended.</summary>
/// <param name="End">As a run ends.</param>
/// <param name="Iterations">In order.</param>
public sealed record ReplayOutcome(RunEnd End, IReadOnlyList<ReplayedIteration> Iterations);

/// <summary>Trains iterations of a run again from its journal, with nothing but its experience role and its trainers.</summary>
public static class Replay
{
    /// <summary>Replays. Nothing of the run is changed.</summary>
    /// <param name="system">Where the actors live; configured as for a run.</param>
    /// <param name="request">What to replay.</param>
    /// <param name="stop">Ends it after the running iteration.</param>
    /// <exception cref="UserErrorException">An iteration is not in the journal.</exception>
    public static async Task<ReplayOutcome> StartAsync(ActorSystem system, ReplayRequest request, CancellationToken stop)
    {
        var (known, first) = (request.Journal.Iterations.ToDictionary(iteration => iteration.Iteration), (request.From?.Iteration ?? 0) + 1);
        for (var iteration = first; iteration <= request.Last; iteration++)
            if (!known.ContainsKey(iteration))
                throw new UserErrorException(
                    $"Iteration {request.Last} is replayed from the state after {first - 1}, and iteration {iteration} between them is not whole in the journal. {request.Journal.Range()}", ExitCode.NotFound);
        var (roles, reports) = (new ReplayRoles(request.Journal), new Reports(request.Definition.Observer));
        var end = await Run.StartAsync(system, Definition(request, roles, reports), stop).ConfigureAwait(false);
        return new ReplayOutcome(end, [.. reports.All
            .OrderBy(report => report.Iteration)
            .Select(report => new ReplayedIteration(
                report.Iteration, known[report.Iteration].Weights, WeightsAfter(roles, report.Iteration), report.Metrics))]);
    }

    private static SortedDictionary<string, string> WeightsAfter(ReplayRoles roles, long iteration) => new(
        roles.Weights.Where(entry => entry.Key.Iteration == iteration).ToDictionary(entry => entry.Key.Model, entry => entry.Value), StringComparer.Ordinal);

    private static RunDefinition Definition(ReplayRequest request, ReplayRoles roles, Reports reports)
    {
        var plan = request.Definition.Plan with { EvaluateEvery = -1 };
        return request.Definition with
        {
            Plan = plan,
            Roles = roles.Of(request.Definition.Roles, plan),
            CheckpointEvery = 0,
            KeepBest = null,
            MaxIterations = request.Last,
            ResumeFrom = request.From is { } checkpoint ? checkpoint with { State = ForTraining(checkpoint.State) } : null,
            Journal = null,
            Observer = reports,
            Flow = request.Definition.Flow with { SafePointShare = 0, Staleness = 0 },
            SavesAtEnd = request.SavesLast,
            ExportsModels = false,
        };
    }

    // Roles that the replay does without may have had state; the flow would look for whom it belongs to.
    private static RunState ForTraining(RunState state) => state with
    {
        OwesMeasurement = false,
        Images = state.Images
            .Where(image => image.Key is RoleSlots.Prompts or RoleSlots.Experience || image.Key.StartsWith(RoleSlots.Trainers, StringComparison.Ordinal))
            .ToDictionary(image => image.Key, image => image.Value),
    };

    private sealed class Reports(IRunObserver observer) : IRunObserver
    {
        public ConcurrentQueue<IterationReport> All { get; } = new();

        public void Started(long firstIteration, long iterations) => observer.Started(firstIteration, iterations);

        public void Reported(IterationReport report)
        {
            All.Enqueue(report);
            observer.Reported(report);
        }

        public void Noted(string kind, string message) => observer.Noted(kind, message);
    }
}
