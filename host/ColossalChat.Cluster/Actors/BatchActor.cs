using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Hosts the dataset of an offline run: every iteration's batch goes straight to the trainers.</summary>
internal sealed class BatchActor : StatefulRoleActor<IBatchSource>
{
    private StartBatch? _last;

    public BatchActor(FlowContext flow, Func<IBatchSource> make, RunState? from)
        : base(flow, RoleSlots.Batches, _ => make(), from) => Receive<StartBatch>(Take);

    protected override RoleFacts FactsOf(IBatchSource role) => new()
    {
        Iterations = role.Iterations,
        HeldOut = role.HeldOut,
        Metrics = role.Metrics,
        Remarks = role.Remarks,
    };

    protected override Action<IBatchSource, CancellationToken>? Trial() => _last is not { } start ? null : (role, _) =>
        Checked(role.Take(start.Iteration, start.Route.Ranks), start.Route.Ranks);

    private void Take(StartBatch start)
    {
        _last = start;
        Call(
            new BatchId(start.Iteration, 0),
            "take a batch",
            (role, _) => Checked(role.Take(start.Iteration, start.Route.Ranks), start.Route.Ranks),
            (perRank, _) =>
            {
                RunTelemetry.Batches.Add(1, Purposes.LabelOf(BatchPurpose.Train));

                // Each model trains on the same sequences, so rows are counted once.
                Iteration.Tell(new BatchTaken(start.Iteration, new WindowSize(
                    perRank.Sum(experience => experience.Rows), perRank.Sum(experience => (long)experience.Tokens.Values.Length), 0)));
                start.Route.Tell(Flow, start.Iteration, perRank);
            });
    }

    private static IReadOnlyList<Experience> Checked(IReadOnlyList<Experience> perRank, int ranks) => perRank.Count == ranks
        ? perRank
        : throw new InvalidOperationException($"It gave batches for {perRank.Count} ranks; {ranks} were asked for.");
}
