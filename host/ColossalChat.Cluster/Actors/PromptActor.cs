using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Hosts the prompt source: cuts a window into batches and starts one whenever a credit is free.</summary>
internal sealed class PromptActor : StatefulRoleActor<IPromptSource>
{
    private readonly Queue<PlannedBatch> _planned = new();
    private Credits _credits;
    private UseKnown? _known;

    public PromptActor(FlowContext flow, Func<IPromptSource> make, RunState? from)
        : base(flow, RoleSlots.Prompts, make, from)
    {
        _credits = Credits.Of(flow.Definition.Flow.BatchesInFlight);
        Receive<UseKnown>(known => _known = known);
        Receive<StartIteration>(Plan);
        Receive<BatchJoined>(joined =>
        {
            _credits = _credits.Return(joined.Batch);
            StartBatches();
        });
    }

    protected override void Prepare(IPromptSource role) => role.Begin(Flow.Definition.Plan);

    protected override RoleFacts FactsOf(IPromptSource role) => new() { HeldOutPrompts = role.HeldOutPrompts };

    private void Plan(StartIteration start)
    {
        var shares = WindowPlan.Cut(start.Prompts, start.AnswersPerPrompt, start.RowsPerBatch);
        for (var shard = 0; shard < shares.Length; shard++)
        {
            var batch = new BatchId(start.Window.Iteration, shard, start.Window.Purpose);
            _planned.Enqueue(new PlannedBatch(batch, start.Window, shares[shard].First, shares[shard].Count, start.AnswersPerPrompt));
        }

        StartBatches();
    }

    private void StartBatches()
    {
        while (_credits.Free > 0 && _planned.TryDequeue(out var planned))
        {
            _credits = _credits.Take(planned.Batch);
            if (_known?.Of(planned.Batch) is { } parts)
            {
                KnownBatches.Send(planned.Batch, planned.Window, parts, Flow.Definition.Plan.ScoresNeeded);
                continue;
            }

            Call(
                planned.Batch,
                "take prompts",
                (role, _) => role.Take(planned.Batch, planned.First, planned.Prompts, planned.Answers),
                (prompts, _) => planned.Window.Route.Rollout.Tell(new GenerateRollout(planned.Batch, planned.Window, prompts)));
        }
    }

    private sealed record PlannedBatch(BatchId Batch, Window Window, int First, int Prompts, int Answers);
}
