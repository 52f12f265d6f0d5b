using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Hosts the prompt source: cuts a window into batches, starts one whenever a credit is free, and keeps each until all its
/// parts are joined, so that a batch whose rollout actor or scorers are lost goes on with others.
/// </summary>
internal sealed class PromptActor : StatefulRoleActor<IPromptSource>
{
    // Windows that may be asked for again; far more than are ever open.
    private const int WindowsRemembered = 64;
    private readonly LinkedList<PlannedBatch> _planned = new();
    private readonly Dictionary<BatchId, GenerateRollout> _sent = [];
    private readonly Dictionary<BatchId, Rollout> _written = [];
    private readonly HashSet<BatchId> _again = [];
    private readonly List<(long Iteration, BatchPurpose Purpose)> _begun = [];
    private readonly Dictionary<long, UseKnown> _known = [];
    private Credits _credits;
    private PlannedBatch? _last;
    private readonly BatchRoutes _routes = new(new Pools([], []));
    private bool _areThereTakers;

    public PromptActor(FlowContext flow, Func<IPromptSource> make, RunState? from)
        : base(flow, RoleSlots.Prompts, _ => make(), from)
    {
        _credits = Credits.Of(flow.Definition.Flow.BatchesInFlight);
        Receive<PoolsChanged>(Change);
        Receive<UseKnown>(known => _known[known.Iteration] = known);
        Receive<RolloutJoined>(Written);
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
        if (_begun.Contains(window))
        {
            foreach (var batch in _sent.Values.ToArray())
                SendAgain(batch);
            return;
        }

        foreach (var past in _known.Keys.Where(iteration => iteration < start.Window.Iteration - Flow.Definition.Flow.Staleness).ToArray())
            _known.Remove(past);
        _begun.Add(window);
        if (_begun.Count > WindowsRemembered)
            _begun.RemoveAt(0);
        var shares = WindowPlan.Cut(start.Prompts, start.AnswersPerPrompt, start.RowsPerBatch);
        var first = _planned.First;
        for (var shard = 0; shard < shares.Length; shard++)
        {
            var batch = new BatchId(start.Window.Iteration, shard, start.Window.Purpose);
            var planned = new PlannedBatch(batch, start.Window, shares[shard].First, shares[shard].Count, start.AnswersPerPrompt);
            // The run waits for a measurement, and not for what is written ahead.
            if (first is not null && batch.Purpose == BatchPurpose.Evaluate)
                _planned.AddBefore(first, planned);
            else
                _planned.AddLast(planned);
        }

        StartBatches();
    }

    private void StartBatches()
    {
        while (_areThereTakers && _credits.Free > 0 && _planned.First is { Value: var planned })
        {
            _planned.RemoveFirst();
            _credits = _credits.Take(planned.Batch);
            RunTelemetry.Credits.Record(_credits.Held.Count);
            if (_known.GetValueOrDefault(planned.Batch.Iteration)?.Of(planned.Batch) is { } parts)
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

    // A batch whose answers are there is not written again: others might have newer weights and would write something else.
    private void SendAgain(GenerateRollout request)
    {
        if (_written.TryGetValue(request.Batch, out var rollout))
        {
            var (_, routed) = Route(request);
            var window = routed.Window with { Route = routed.Window.Route with { Scorers = [] } };
            foreach (var scorer in routed.Window.Route.Scorers)
                Flow.Post(scorer, new ScoreRollout(request.Batch, window, rollout));
            return;
        }

        _again.Add(request.Batch);
        Send(request);
    }

    private void Written(RolloutJoined joined)
    {
        if (!_sent.TryGetValue(joined.Batch, out var request))
            return;
        _written[joined.Batch] = joined.Rollout;
        if (_again.Remove(joined.Batch))
            SendAgain(request);
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

    // The answers of batches that are on their way to somebody who is gone are not lost: whoever wrote them remembers them, or
    // another writes the batch again, and scores are joined to the answers that they are of.
    private void Change(PoolsChanged changed)
    {
        var lost = _routes.Change(changed.Pools);
        foreach (var batch in lost.Where(_sent.ContainsKey).OrderBy(batch => batch.Iteration).ThenBy(batch => batch.Shard))
            SendAgain(_sent[batch]);
        _areThereTakers = true;
        StartBatches();
    }

    private void Joined(BatchJoined joined)
    {
        _credits = _credits.Return(joined.Batch);
        _sent.Remove(joined.Batch);
        _written.Remove(joined.Batch);
        _again.Remove(joined.Batch);
        _routes.End(joined.Batch);
        StartBatches();
        RunTelemetry.Credits.Record(_credits.Held.Count);
    }

    private sealed record PlannedBatch(BatchId Batch, Window Window, int First, int Prompts, int Answers);
}
