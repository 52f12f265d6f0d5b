using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Hosts the prompt source: cuts a window into batches, starts one whenever a credit is free, and keeps each until all its
/// parts are joined, so that a batch whose rollout actor or scorers are lost goes on with others.
/// </summary>
internal sealed class PromptActor : StatefulRoleActor<IPromptSource>
{
    private readonly Queue<PlannedBatch> _planned = new();
    private readonly Dictionary<BatchId, GenerateRollout> _sent = [];
    private (long Iteration, BatchPurpose Purpose)? _begun;
    private Credits _credits;
    private PlannedBatch? _last;
    private BatchRoutes _routes = new(new Pools([], []));
    private UseKnown? _known;

    public PromptActor(FlowContext flow, Func<IPromptSource> make, RunState? from)
        : base(flow, RoleSlots.Prompts, _ => make(), from)
    {
        _credits = Credits.Of(flow.Definition.Flow.BatchesInFlight);
        Receive<PoolsChanged>(Change);
        Receive<UseKnown>(known => _known = known);
        Receive<StartIteration>(Plan);
        Receive<BatchJoined>(Joined);
    }

    protected override void Prepare(IPromptSource role) => role.Begin(Flow.Definition.Plan);

    protected override RoleFacts FactsOf(IPromptSource role) => new() { HeldOutPrompts = role.HeldOutPrompts };

    protected override Action<IPromptSource, CancellationToken>? Trial() => _last is not { } planned ? null : (role, _) =>
    {
        var (taken, wanted) = (role.Take(planned.Batch, planned.First, planned.Prompts, planned.Answers), planned.Prompts * planned.Answers);
        if (taken.Tokens.Rows != wanted)
            throw new InvalidOperationException($"It gave {taken.Tokens.Rows} rows; {wanted} were asked for.");
    };

    private void Plan(StartIteration start)
    {
        var window = (start.Window.Iteration, start.Window.Purpose);
        if (_begun == window)
        {
            foreach (var batch in _sent.Values)
                Send(batch);
            return;
        }

        _begun = window;
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
            RunTelemetry.Credits.Record(_credits.Held.Count);
            if (_known?.Of(planned.Batch) is { } parts)
            {
                var (_, known) = Route(new GenerateRollout(planned.Batch, planned.Window, parts.Rollout!.Prompts));
                KnownBatches.Send(Flow, planned.Batch, known.Window, parts, Flow.Definition.Plan.ScoresNeeded);
                continue;
            }

            _last = planned;
            Call(
                planned.Batch,
                "take prompts",
                (role, _) => role.Take(planned.Batch, planned.First, planned.Prompts, planned.Answers),
                (prompts, _) => Send(new GenerateRollout(planned.Batch, planned.Window, prompts)));
        }
    }

    private void Send(GenerateRollout request)
    {
        var (rollout, routed) = Route(request);
        Flow.Post(rollout, routed);
    }

    private (IActorRef Rollout, GenerateRollout Routed) Route(GenerateRollout request)
    {
        var (rollout, scorers) = _routes.Of(request.Batch);
        var routed = request with { Window = request.Window with { Route = request.Window.Route with { Scorers = scorers } } };
        _sent[request.Batch] = routed;
        return (rollout, routed);
    }

    // The answers of batches that are on their way to somebody who is gone are not lost: whoever wrote them remembers them,
    // and another writes the same again.
    private void Change(PoolsChanged changed)
    {
        var lost = _routes.Change(changed.Pools);
        foreach (var batch in lost.Where(_sent.ContainsKey).OrderBy(batch => batch.Shard))
            Send(_sent[batch]);
    }

    private void Joined(BatchJoined joined)
    {
        _credits = _credits.Return(joined.Batch);
        _sent.Remove(joined.Batch);
        _routes.End(joined.Batch);
        StartBatches();
        RunTelemetry.Credits.Record(_credits.Held.Count);
    }

    private sealed record PlannedBatch(BatchId Batch, Window Window, int First, int Prompts, int Answers);
}
