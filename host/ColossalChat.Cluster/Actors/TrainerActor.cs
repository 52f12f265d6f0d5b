using System.Collections.Immutable;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Hosts one rank of one model's trainer. Computes a step as soon as the one before is finished, and finishes it when
/// the iteration actor says whether all groups apply or skip it.
/// </summary>
internal sealed class TrainerActor : StatefulRoleActor<ITrainerRole>
{
    private readonly TrainerId _id;
    private Running? _running;
    private TrainRequest? _last;

    public TrainerActor(FlowContext flow, TrainerId id, Func<long, CancellationToken, ITrainerRole> make, RunState? from)
        : base(flow, RoleSlots.Of(id), formation => make(formation.Number, formation.Cancel), from, PartyOf(flow, id))
    {
        _id = id;
        Receive<TrainShard>(Begin);
        Receive<FinishStep>(Finish);
        Receive<RepeatStep>(Repeat);
        Receive<PublishWeights>(Publish);
        Receive<EvaluateHeldOut>(Evaluate);
        Receive<ExportModel>(Export);
    }

    // Ranks of one model wait for each other while they compute. When they are in several processes, each with a device of its
    // own, those of two models must not take turns either: one process would begin with one model and another with the other.
    private static string PartyOf(FlowContext flow, TrainerId id) => flow.Definition.IsSpread ? RoleSlots.Trainer : id.Model;

    private void Begin(TrainShard shard)
    {
        // Its answers may be forgotten by now, and it must not be trained on once more.
        if (shard.Batch.Iteration < _running?.Batch.Iteration)
        {
            DropLate(shard, shard.Batch);
            return;
        }

        if (_running?.Batch != shard.Batch)
            _running = new Running(shard.Batch, Steps: 0, ImmutableDictionary<string, TimeSpan>.Empty, CallSize.Of(shard.Request.Experience));
        _last = shard.Request;
        CallTimed(shard.Batch, "begin", (role, _) => role.Begin(shard.Request), steps =>
        {
            _running = _running with { Steps = steps };
            Iteration.Tell(new ShardBegun(shard.Batch, _id, steps));
            ComputeOrEnd(shard.Batch, step: 0);
        }, _running.Size);
    }

    private void ComputeOrEnd(BatchId batch, int step)
    {
        if (step >= _running!.Steps)
            CallTimed(batch, "end its iteration", (role, _) => role.End(), metrics =>
                Iteration.Tell(new ShardTrained(batch, _id, metrics, _running.Took)));
        else
            CallTimed(batch, $"compute step {step}", (role, cancel) => role.Compute(step, cancel), isFinite =>
                Iteration.Tell(new StepComputed(batch, _id, step, isFinite)), _running.Size);
    }

    private void Finish(FinishStep finish)
    {
        if (_running?.Batch != finish.Batch)
        {
            DropLate(finish, finish.Batch);
            return;
        }

        CallTimed(
            finish.Batch,
            $"finish step {finish.Step}",
            (role, _) =>
            {
                role.Finish(finish.Step, finish.Apply);
                return finish.Step + 1;
            },
            next => ComputeOrEnd(finish.Batch, next));
    }

    private void Repeat(RepeatStep repeat)
    {
        if (_running?.Batch == repeat.Batch)
            ComputeOrEnd(repeat.Batch, step: 0);
        else
            DropLate(repeat, repeat.Batch);
    }

    // A call that was answered before is answered again with the time that it took then, which counts once.
    private void CallTimed<TResult>(
        BatchId batch, string what, Func<ITrainerRole, CancellationToken, TResult> body, Action<TResult> done, CallSize size = default) => Call(
        batch,
        what,
        body,
        (result, took) =>
        {
            _running = _running! with { Times = _running.Times.SetItem(what, took) };
            done(result);
        },
        size: size);

    private void Publish(PublishWeights publish) => Call(
        new BatchId(publish.Iteration, 0),
        "publish its weights",
        (role, cancel) => role.Publish(publish.Epoch, publish.Version, cancel),
        (publication, _) =>
        {
            foreach (var reader in publish.Readers)
                reader.Tell(new WeightsReady(publish.Iteration, publication));
        },
        FormationNumber); // One that was made anew publishes anew, though the one before answered.

    private void Evaluate(EvaluateHeldOut evaluate) => Call(
        new BatchId(evaluate.Iteration, 0, BatchPurpose.Evaluate),
        "evaluate",
        (role, cancel) => role.Evaluate(evaluate.HeldOut, cancel),
        (metrics, _) => Iteration.Tell(new HeldOutEvaluated(evaluate.Iteration, _id, metrics)));

    private void Export(ExportModel export) => Call(
        new BatchId(export.Iteration, 0),
        "export its model",
        (role, _) =>
        {
            role.Export(export.Folder);
            return export.Folder;
        },
        (folder, _) => Iteration.Tell(new ModelExported(export.Iteration, _id, folder)));

    // Its first step, which is then dropped; all ranks do it together.
    protected override Action<ITrainerRole, CancellationToken>? Trial() => _last is not { } request ? null : (role, cancel) =>
    {
        if (role.Begin(request) > 0)
        {
            var isFinite = role.Compute(0, cancel);
            role.Finish(0, apply: false);
            if (!isFinite)
                throw new InvalidOperationException("Its loss or its gradients are not finite.");
        }

        if (role.End().FirstOrDefault(metric => !double.IsFinite(metric.Value)) is { Key: { } name } odd)
            throw new InvalidOperationException($"Its metric {name} is {odd.Value}; it must be finite.");
    };

    protected override IStateReader StateOf(RunState from) => new JoinedState(Role, [.. from.Images
        .Where(image => RoleSlots.IsNeededBy(Role)(image.Key))
        .OrderBy(image => image.Key, StringComparer.Ordinal)
        .Select(image => image.Value)]);

    private sealed record Running(BatchId Batch, int Steps, ImmutableDictionary<string, TimeSpan> Times, CallSize Size)
    {
        /// <summary>Time of all its calls.</summary>
        public TimeSpan Took => Times.Values.Aggregate(TimeSpan.Zero, (sum, took) => sum + took);
    }
}
