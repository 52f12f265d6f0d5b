using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>The part of an attempt's leader that has an iteration trained and its weights published.</summary>
internal sealed partial class IterationActor
{
    private readonly Dictionary<TrainerId, FinishStep> _verdicts = [];
    private StepGate _gate = StepGate.Of([]);

    // The highest training window that the prompt actor was told to begin.
    private long _started;

    private static string BuiltAnswer(long iteration) => $"built {iteration}";

    private static string TrainedAnswer(long iteration, TrainerId trainer) => $"trained {iteration} {trainer}";

    private void Train(long iteration)
    {
        _iteration = iteration;
        _gate = StepGate.Of(_training.Trainers.Keys);
        _numbers = new IterationNumbers(iteration, BatchPurpose.Train);
        _numbers.Add("train/overflow_steps", 0);
        if (!IsOnline && iteration == (_from?.Iteration ?? 0) + 1)
            _numbers.Set(_facts[RoleSlots.Batches].Metrics);
        _verdicts.Clear();
        _watch.Begin(iteration, BatchPurpose.Train, Math.Max(_training.Ranks, IsOnline ? BatchesOf(Plan.PromptsPerIteration, Plan.AnswersPerPrompt) : 1));
        _barrier.AwaitAsked(
            [BuiltAnswer(iteration), .. _training.Trainers.Keys.Select(trainer => TrainedAnswer(iteration, trainer))],
            () => PublishTrained(EndIteration),
            AskForTraining);
    }

    // The experience is large: once all trainers have it, it is not sent again however long they take.
    private void AskForTraining()
    {
        if (!_barrier.Awaits(BuiltAnswer(_iteration)) && _gate.HaveAllBegun)
            RemindTrainers();
        else if (_ahead is not null)
            TrainAhead();
        else if (IsOnline)
            OpenTraining();
        else
            _roles.Batches.Tell(new StartBatch(_iteration, _training));
    }

    // Each waits for the verdict on its own last step, or has one to come.
    private void RemindTrainers()
    {
        foreach (var (trainer, actor) in _training.Trainers.Where(trainer => _barrier.Awaits(TrainedAnswer(_iteration, trainer.Key))))
            actor.Tell(_verdicts.TryGetValue(trainer, out var verdict) ? verdict : new RepeatStep(new BatchId(_iteration, trainer.Rank)));
    }

    private void StartWindow(long iteration, BatchPurpose purpose, int prompts, int answers)
    {
        if (purpose == BatchPurpose.Train)
            _started = Math.Max(_started, iteration);
        var route = new Route(_roles.Prompts, [], _roles.Experience, _training);
        _roles.Prompts.Tell(new StartIteration(new Window(iteration, purpose, BatchesOf(prompts, answers), route), prompts, answers, Plan.RowsPerBatch));
        if (_barrier.Repeats > 0)
            _roles.Experience.Tell(new ResendWindow(new BatchId(iteration, 0, purpose)));
    }

    private int BatchesOf(int prompts, int answers) => WindowPlan.Cut(prompts, answers, Plan.RowsPerBatch).Length;

    private void Step(BatchId batch, StepGate gate)
    {
        if (batch.Iteration != _iteration)
        {
            RunTelemetry.Late(_log, $"{batch}: dropped a late step.");
            return;
        }

        _gate = gate;
        if (gate.Verdict is not { } verdict)
            return;
        if (!verdict.Apply)
        {
            _numbers.Add("train/overflow_steps", 1);
            _flow.Note("overflow", $"Iteration {_iteration}, step {verdict.Step}: gradients of "
                + $"{string.Join(", ", verdict.Overflowed)} are not finite; all models skip the step.");
        }

        _gate = gate.Next();
        foreach (var trainer in verdict.Members)
        {
            _verdicts[trainer] = new FinishStep(new BatchId(_iteration, trainer.Rank), verdict.Step, verdict.Apply);
            _training.Trainers[trainer].Tell(_verdicts[trainer]);
        }
    }

    private void Trained(ShardTrained trained) => Arrive(TrainedAnswer(trained.Batch.Iteration, trained.Trainer), () =>
    {
        if (trained.Trainer.Rank == 0)
            _numbers.Add("timing/learn_s", trained.Took.TotalSeconds);
        _numbers.Idle.Add(RoleSlots.Of(trained.Trainer with { Rank = 0 }), trained.Took.TotalSeconds / _training.Ranks);
        _numbers.SetShare(trained.Trainer.Rank, trained.Metrics);
    });

    // Versions count updates from 1, the weights before training, so they follow from the iteration. Of each role somebody must
    // have them: those who come later are given what somebody has.
    private void Publish(Action then)
    {
        if (!IsOnline)
        {
            then();
            return;
        }

        _numbers.PublishBegan();
        var readers = _roles.Readers.Keys.Concat(_roles.ReaderRoles.Select(AnyOf));
        _barrier.AwaitAsked(
            Plan.ModelsTrained.SelectMany(_ => readers, (model, reader) => LoadAnswer(_iteration, model, reader)),
            then,
            () => TellTrainersToPublish(_roles.Readers.Values));
    }

    private void TellTrainersToPublish(IEnumerable<IActorRef> readers)
    {
        foreach (var (trainer, actor) in _training.Trainers)
            actor.Tell(new PublishWeights(_iteration, _flow.Epoch, _iteration + 1, trainer.Rank == 0 ? [.. readers] : []));
    }
}
