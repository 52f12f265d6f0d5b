using System.Diagnostics;
using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Leads one attempt of a run: opens the roles, starts iterations, lets the trainer groups step together, spreads new
/// weights, measures, keeps state and ends. It holds no batch itself.
/// </summary>
internal sealed partial class IterationActor : ReceiveActor
{
    private const string Written = "the last checkpoint is written";
    private const string Free = "a copy is free";

    // Copies of the run's state: the one to go back to and the one that is being written. A third would only cost memory.
    private const int MostCopies = 2;
    private readonly FlowContext _flow;
    private readonly RunState? _from;
    private readonly RoleTable _roles;
    private readonly ScoreWatch? _score;
    private readonly Dictionary<string, RoleFacts> _facts = [];
    private readonly HashSet<string> _awaited = [];
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private Action _then = () => { };
    private Schedule _schedule = new(0, null, 0, false, 0);
    private TrainingRoute _training = new(new Dictionary<TrainerId, IActorRef>(), 0, 0);
    private StepGate _gate = StepGate.Of([]);
    private IterationNumbers _numbers = new(0, BatchPurpose.Train);
    private SafePoints _safePoints;
    private RunState? _spare;
    private int _copies;
    private RunTotals _totals;
    private long _iteration;
    private long _lastSaved;
    private long _lastSafePoint = Stopwatch.GetTimestamp();
    private double _saveSeconds;
    private double _waitSeconds;
    private bool _isWriting;
    private bool _owesMeasurement;

    public IterationActor(FlowContext flow, RunState? from, long lastSaved)
    {
        (_flow, _from, _iteration, _lastSaved) = (flow, from, from?.Iteration ?? 0, lastSaved);
        (_totals, _owesMeasurement) = (from?.Totals ?? default, from?.OwesMeasurement ?? false);
        _score = flow.Definition.KeepBest is { } rule ? new ScoreWatch(rule) : null;
        _safePoints = new SafePoints(flow.Definition.Flow.SafePointShare, LastCost: null);
        ReceiveFlow();
        _copies = from is not null && flow.Definition.Flow.SafePointShare > 0 ? 1 : 0;
        Receive<SpareState>(SetFree);
        _roles = RoleTable.Start(Context, flow, from);
        Await(_roles.Slots.Select(slot => $"open {slot}"), Open);
    }

    private StagePlan Plan => _flow.Definition.Plan;

    private bool IsOnline => Plan.Flow == FlowKind.Online;

    private bool IsStopping => _flow.Stop.IsCancellationRequested;

    // Whatever an actor of the flow throws is a fault of the host itself: the supervisor ends the run and says so.
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(_ => Directive.Escalate);

    // The next attempt makes copies of its own.
    protected override void PostStop() => _spare?.Release();

    private void ReceiveFlow()
    {
        Receive<RoleOpened>(opened =>
        {
            _facts[opened.Role] = opened.Facts;
            _roles.Opened(opened);
            Arrive($"open {opened.Role}");
        });
        Receive<ExperienceBuilt>(built =>
        {
            _numbers.Set(built.Metrics);
            _numbers.SetSize(built.Size, built.Samples);
            Arrive($"built {built.Iteration}");
        });
        Receive<BatchTaken>(taken =>
        {
            _numbers.SetSize(taken.Size, []);
            _numbers.DataArrived();
            Arrive($"built {taken.Iteration}");
        });
        Receive<ShardBegun>(begun => Step(begun.Batch, _gate.Begun(begun.Trainer, begun.Steps)));
        Receive<StepComputed>(computed => Step(computed.Batch, _gate.Computed(computed.Trainer, computed.Step, computed.IsFinite)));
        Receive<ShardTrained>(Trained);
        Receive<WeightsLoaded>(Loaded);
        Receive<WindowOpened>(opened => opened.Iteration == _iteration, StartTraining);
        Receive<WindowMeasured>(measured =>
        {
            _numbers.Set(measured.Metrics);
            _numbers.SetSize(measured.Size, measured.Samples);
            Arrive($"measured {measured.Iteration}");
        });
        Receive<HeldOutEvaluated>(evaluated =>
        {
            if (evaluated.Trainer.Rank == 0)
                _numbers.Set(evaluated.Metrics);
            Arrive($"evaluated {evaluated.Iteration} {evaluated.Trainer}");
        });
        Receive<StateCaptured>(captured => Arrive($"captured {captured.Iteration} {captured.Role}"));
        Receive<CheckpointSaved>(Saved);
        Receive<ModelExported>(exported => Arrive($"exported {exported.Trainer}"));
    }

    // ---- Beginning ----

    private void Open()
    {
        var iterations = IsOnline ? Plan.Iterations : _facts[RoleSlots.Batches].Iterations;
        var canEvaluate = IsOnline ? EvaluationPrompts > 0 : _facts[RoleSlots.Batches].HeldOut.Count > 0;
        _schedule = new Schedule(
            iterations, _flow.Definition.MaxIterations, Plan.EvaluateEvery, canEvaluate, _flow.Definition.CheckpointEvery);
        _training = new TrainingRoute(_roles.Trainers, _roles.Trainers.Keys.Max(trainer => trainer.Rank) + 1, iterations);
        var remarks = _facts.Values.SelectMany(facts => facts.Remarks).ToArray();
        _flow.Run.Tell(new FlowOpened(_flow.Epoch, _iteration + 1, iterations, remarks));

        // A state to go back to is taken after its measurement, unless a stop left that out.
        Publish(_from is null || _owesMeasurement ? EvaluateIfDue : Next);
    }

    private int EvaluationPrompts => Math.Min(Plan.EvaluationPrompts, _facts[RoleSlots.Prompts].HeldOutPrompts);

    // ---- Training ----

    private void Next()
    {
        if (!_schedule.EndsAfter(_iteration, IsStopping))
            Train(_iteration + 1);
        else if (_lastSaved < _iteration)
            SaveState();
        else
            WhenWritten(End);
    }

    private void Train(long iteration)
    {
        _iteration = iteration;
        _gate = StepGate.Of(_training.Trainers.Keys);
        _numbers = new IterationNumbers(iteration, BatchPurpose.Train);
        _numbers.Add("train/overflow_steps", 0);
        if (!IsOnline && iteration == (_from?.Iteration ?? 0) + 1)
            _numbers.Set(_facts[RoleSlots.Batches].Metrics);
        Await(
            [$"built {iteration}", .. _training.Trainers.Keys.Select(trainer => $"trained {iteration} {trainer}")],
            () => Publish(EndIteration));
        if (IsOnline)
            OpenTraining();
        else
            _roles.Batches.Tell(new StartBatch(iteration, _training));
    }

    private void StartWindow(BatchPurpose purpose, int prompts, int answers)
    {
        var batches = WindowPlan.Cut(prompts, answers, Plan.RowsPerBatch).Length;
        var route = new Route(_roles.Prompts, _roles.Rollout, _roles.Scorers, _roles.Experience, _training);
        _roles.Prompts.Tell(new StartIteration(new Window(_iteration, purpose, batches, route), prompts, answers, Plan.RowsPerBatch));
    }

    private void Step(BatchId batch, StepGate gate)
    {
        if (batch.Iteration != _iteration)
        {
            _log.Debug("{0}: dropped a late step.", batch);
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
            _training.Trainers[trainer].Tell(new FinishStep(new BatchId(_iteration, trainer.Rank), verdict.Step, verdict.Apply));
    }

    private void Trained(ShardTrained trained)
    {
        if (trained.Trainer.Rank == 0)
            _numbers.Add("timing/learn_s", trained.Took.TotalSeconds);
        _numbers.SetShare(trained.Trainer.Rank, trained.Metrics);
        Arrive($"trained {trained.Batch.Iteration} {trained.Trainer}");
    }

    // Versions count updates from 1, the weights before training, so they follow from the iteration.
    private void Publish(Action then)
    {
        if (_roles.Readers.Count == 0)
        {
            then();
            return;
        }

        Await(Plan.ModelsTrained.SelectMany(model => _roles.Readers.Keys.Select(reader => $"load {_iteration} {model} {reader}")), then);
        foreach (var (trainer, actor) in _training.Trainers)
            actor.Tell(new PublishWeights(_iteration, _flow.Epoch, _iteration + 1, trainer.Rank == 0 ? [.. _roles.Readers.Values] : []));
    }

    private void EndIteration()
    {
        SetSavingTimes();
        _totals = _totals.Plus(_numbers.Size);
        _numbers.SetTotals(_totals, IsOnline ? 0 : _facts[RoleSlots.Batches].Metrics.GetValueOrDefault("data/sequences"));
        AcknowledgeTraining();
        Report();
        EvaluateIfDue();
    }

    // ---- Measuring ----

    private void EvaluateIfDue()
    {
        // Whoever stops a run does not want to wait for a measurement: the state says that it is still to be made.
        var isDue = _schedule.EvaluatesAfter(_iteration);
        _owesMeasurement = isDue && IsStopping;
        if (!isDue || _owesMeasurement)
        {
            KeepState();
            return;
        }

        _numbers = new IterationNumbers(_iteration, BatchPurpose.Evaluate);
        if (IsOnline)
        {
            Await([$"measured {_iteration}"], EndEvaluation);
            StartWindow(BatchPurpose.Evaluate, EvaluationPrompts, answers: 1);
            return;
        }

        Await(_training.Trainers.Keys.Select(trainer => $"evaluated {_iteration} {trainer}"), EndEvaluation);
        foreach (var (trainer, actor) in _training.Trainers)
            actor.Tell(new EvaluateHeldOut(
                _iteration, [.. _facts[RoleSlots.Batches].HeldOut.Where((_, batch) => batch % _training.Ranks == trainer.Rank)]));
    }

    private void EndEvaluation()
    {
        Report();
        KeepState();
    }

    private void Report()
    {
        var report = _numbers.Report();
        _score?.Take(report);
        _flow.Run.Tell(new IterationEnded(_flow.Epoch, report));
    }

    // ---- Keeping state ----

    private void KeepState()
    {
        if ((_lastSaved < _iteration && _schedule.SavesAfter(_iteration, IsStopping)) || HasPaidDebt)
            SaveState();
        else if (HasRoom && _safePoints.IsDue(Stopwatch.GetElapsedTime(_lastSafePoint)))
            Capture(state => KeepSafePoint(state, Next));
        else
            Next();
    }

    // A checkpoint that was resumed from and lacked its measurement has no score and would be measured again: it is written anew.
    private bool HasPaidDebt => _from is { OwesMeasurement: true } && _from.Iteration == _iteration && !_owesMeasurement;

    private bool HasRoom => _spare is not null || _copies < MostCopies;

    private void SetFree(SpareState spare)
    {
        _spare = spare.State;
        if (_awaited.Contains(Free))
            Arrive(Free);
    }

    // Training goes on when the copy is made. A disk that is slower than the training holds it up here.
    private void SaveState()
    {
        var started = Stopwatch.GetTimestamp();
        var waits = _isWriting;
        WhenWritten(() =>
        {
            if (waits)
                _waitSeconds += Stopwatch.GetElapsedTime(started).TotalSeconds;
            WhenFree(() => Capture(Save));
        });
    }

    // The supervisor may not have come to give the older copy back: short iterations are quicker than it.
    private void WhenFree(Action then)
    {
        if (HasRoom)
            then();
        else
            Await([Free], then);
    }

    private void Capture(Action<RunState> then)
    {
        var started = Stopwatch.GetTimestamp();
        var spare = _spare;
        _spare = null;
        if (spare is null)
            _copies++;
        var images = _roles.Stateful.Keys.ToDictionary(
            slot => slot, slot => spare?.Images.GetValueOrDefault(slot) ?? new StateImage(slot, _flow.Definition.RunFolder));
        var state = new RunState(_iteration, _flow.Epoch, _totals, images) { OwesMeasurement = _owesMeasurement, Score = _score?.Of(_iteration) };
        Await(images.Keys.Select(slot => $"captured {_iteration} {slot}"), () =>
        {
            _safePoints = _safePoints.Taken(Stopwatch.GetElapsedTime(started));
            then(state);
        });
        foreach (var (slot, actor) in _roles.Stateful)
            actor.Tell(new CaptureState(_iteration, images[slot]));
    }

    private void Save(RunState state)
    {
        if (!_owesMeasurement && _score?.Remark(_iteration) is { } remark)
            _flow.Note("checkpoint", remark);
        (_lastSaved, _isWriting) = (state.Iteration, true);
        _flow.Run.Tell(new CheckpointDue(_flow.Epoch, state));
        KeepSafePoint(state, Next);
    }

    private void Saved(CheckpointSaved saved)
    {
        _isWriting = false;
        _saveSeconds += saved.Took.TotalSeconds;
        if (_awaited.Contains(Written))
            Arrive(Written);
    }

    private void WhenWritten(Action then)
    {
        if (_isWriting)
            Await([Written], then);
        else
            then();
    }

    private void SetSavingTimes()
    {
        if (_saveSeconds > 0)
            _numbers.Add("timing/save_s", _saveSeconds);
        if (_waitSeconds > 0)
            _numbers.Add("timing/save_wait_s", _waitSeconds);
        (_saveSeconds, _waitSeconds) = (0, 0);
    }

    private void KeepSafePoint(RunState state, Action then)
    {
        _lastSafePoint = Stopwatch.GetTimestamp();
        if (_safePoints.Share > 0)
            _flow.Run.Tell(new SafePointTaken(_flow.Epoch, state));
        then();
    }

    // ---- Ending ----

    private void End()
    {
        var isStopped = _iteration < _schedule.Last || _owesMeasurement;
        if (isStopped || !_flow.Definition.ExportsModels)
        {
            _flow.Run.Tell(new FlowEnded(_flow.Epoch, _iteration, isStopped, new Dictionary<string, string>()));
            return;
        }
        var folders = Plan.ModelsTrained.ToDictionary(
            model => model, model => Path.Combine(_flow.Definition.RunFolder, "models", model));
        Await(_training.Trainers.Keys.Select(trainer => $"exported {trainer}"),
            () => _flow.Run.Tell(new FlowEnded(_flow.Epoch, _iteration, IsStopped: false, folders)));
        foreach (var (trainer, actor) in _training.Trainers)
            actor.Tell(new ExportModel(_iteration, folders[trainer.Model]));
    }

    // ---- Waiting for several answers ----

    private void Await(IEnumerable<string> answers, Action then)
    {
        _awaited.Clear();
        _awaited.UnionWith(answers);
        _then = then;
    }

    private void Arrive(string answer)
    {
        if (!_awaited.Remove(answer))
            _log.Debug("Dropped a late answer: {0}.", answer);
        else if (_awaited.Count == 0)
            _then();
    }
}
