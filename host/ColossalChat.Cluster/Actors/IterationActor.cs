using System.Numerics;
using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Leads one attempt of a run: opens the roles, starts iterations, lets the trainer groups step together, spreads new
/// weights, measures, keeps state and ends. It holds no batch itself.
/// </summary>
internal sealed partial class IterationActor : ReceiveActor, IWithTimers
{
    private const uint MostTicks = 4;
    private readonly FlowContext _flow;
    private readonly RunState? _from;
    private readonly RoleTable _roles;
    private readonly ScoreWatch? _score;
    private readonly Dictionary<string, RoleFacts> _facts = [];
    private readonly AnswerBarrier _barrier = new();
    private readonly StateSaver _saver;
    private readonly ReaderPools _pools;
    private readonly BatchWatch _watch;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private Schedule _schedule = new(0, null, 0, false, 0);
    private TrainingRoute _training = new(new Dictionary<TrainerId, IActorRef>(), 0, 0);
    private IterationNumbers _numbers = new(0, BatchPurpose.Train);
    private RunTotals _totals;
    private long _iteration;
    private uint _ticks;
    private bool _savesSoon;
    private bool _owesMeasurement;

    /// <param name="flow">What all actors of the attempt share.</param>
    /// <param name="from">State to go on from; null at the beginning.</param>
    /// <param name="lastSaved">Iteration of the newest checkpoint.</param>
    /// <param name="places">The node of each role slot; null for this process.</param>
    public IterationActor(FlowContext flow, RunState? from, long lastSaved, IReadOnlyDictionary<string, IActorRef?> places)
    {
        flow = flow with { Iteration = Self };
        (_flow, _from, _iteration) = (flow, from, from?.Iteration ?? 0);
        (_totals, _owesMeasurement) = (from?.Totals ?? default, from?.OwesMeasurement ?? false);
        _watch = new BatchWatch(flow, _iteration);
        _score = flow.Definition.KeepBest is { } rule ? new ScoreWatch(rule) : null;
        _roles = new RoleTable(Context, flow, from);
        _saver = new StateSaver(flow, _barrier, new StateCopies(flow, _roles, from), _score, lastSaved);
        _pools = new ReaderPools(flow, _roles);
        ReceiveFlow();
        ReceivePlaces();
        ReceiveSwaps();
        ReceiveAhead();
        foreach (var (slot, node) in places)
            _roles.Host(slot, node);
        _barrier.Await(_roles.Slots.Concat(_roles.ReaderRoles.Select(AnyOf)).Select(OpenAnswer), Open, _roles.HostAgain);
    }

    public ITimerScheduler Timers { get; set; } = null!;

    private StagePlan Plan => _flow.Definition.Plan;

    private bool IsOnline => Plan.Flow == FlowKind.Online;

    private bool IsStopping => _flow.Stop.IsCancellationRequested;

    // Whatever an actor of the flow throws is a fault of the host itself: the supervisor ends the run and says so.
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(_ => Directive.Escalate);

    protected override void PreStart()
    {
        if (_flow.Definition.IsSpread)
            Timers.StartPeriodicTimer("again", new AskAgain(), _flow.Definition.Flow.ResendAfter);
    }

    protected override void PostStop()
    {
        _watch.GiveUp();
        _saver.Copies.Release();
    }

    private void ReceiveFlow()
    {
        Receive<RoleOpened>(opened =>
        {
            if (!_roles.Opened(opened, Sender))
                return;
            _facts[opened.Role] = opened.Facts;
            if (_flow.Definition.IsSpread && RoleTable.IsReader(opened.Role))
                _flow.Run.Tell(new ReaderOpened(_flow.Epoch, opened.Role, opened.Facts.HasState));
            if (_swaps.IsUnderWay)
                return;
            _pools.Welcome(opened.Role, Sender);
            ArriveIfAwaited(OpenAnswer(opened.Role));
            ArriveIfAwaited(OpenAnswer(AnyOf(RoleSlots.RoleOf(opened.Role))));
        });
        Receive<ExperienceBuilt>(built => Arrive(BuiltAnswer(built.Iteration), () =>
        {
            _numbers.Set(built.Metrics);
            _numbers.SetSize(built.Size, built.Samples);
        }));
        Receive<BatchTaken>(taken => Arrive(BuiltAnswer(taken.Iteration), () =>
        {
            _numbers.SetSize(taken.Size, []);
            _numbers.DataArrived();
        }));
        Receive<ShardBegun>(begun => Step(begun.Batch, _gate.Begun(begun.Trainer, begun.Steps)));
        Receive<StepComputed>(computed => Step(computed.Batch, _gate.Computed(computed.Trainer, computed.Step, computed.IsFinite)));
        Receive<ShardTrained>(Trained);
        Receive<WeightsLoaded>(Loaded);
        Receive<WindowOpened>(opened => opened.Iteration == _iteration || _ahead is not null, StartTraining);
        Receive<WindowMeasured>(measured => Arrive($"measured {measured.Iteration}", () =>
        {
            _numbers.Set(measured.Metrics);
            _numbers.SetSize(measured.Size, measured.Samples);
        }));
        Receive<HeldOutEvaluated>(evaluated => Arrive($"evaluated {evaluated.Iteration} {evaluated.Trainer}", () =>
        {
            if (evaluated.Trainer.Rank == 0)
                _numbers.Set(evaluated.Metrics);
        }));
        Receive<StateCaptured>(captured => Arrive(StateCopies.Answer(captured.Iteration, captured.Role)));
        Receive<ShardCaptured>(captured =>
        {
            if (_saver.Copies.Take(captured))
                Arrive(StateCopies.Answer(captured.Iteration, captured.Slot));
        });
        Receive<Parcel>(parcel => _flow.Definition.Parcels?.Open(parcel, Self, Sender));
        Receive<CheckpointSaved>(_saver.Saved);
        Receive<CheckpointSkipped>(skipped => _saver.Skipped(skipped, isLast: _schedule.EndsAfter(_iteration, IsStopping)));
        Receive<SpareState>(_saver.SetFree);
        Receive<ModelExported>(exported => Arrive($"exported {exported.Trainer}"));
    }

    private void ReceivePlaces()
    {
        Receive<SaveSoon>(_ => _savesSoon = true);
        Receive<SlotPlaced>(placed => _roles.Host(placed.Slot, placed.Node));
        Receive<SlotsLost>(Lose);
        // Rarer and rarer: what takes its time is not lost. But not so rare that a run waits for what is.
        Receive<AskAgain>(_ =>
        {
            _ticks++;
            if (!BitOperations.IsPow2(_ticks) && _ticks % MostTicks != 0)
                return;
            _barrier.AskAgain();
            if (_swaps.IsUnderWay)
                return;
            _roles.HostAgain();
            _pools.TellAgain();
        });
    }

    private void Lose(SlotsLost lost)
    {
        // Another one would begin without it.
        if (lost.Slots.Where(_roles.HasState).ToArray() is { Length: > 0 } stateful)
        {
            _flow.Run.Tell(new StateLost(_flow.Epoch, stateful));
            return;
        }

        foreach (var slot in lost.Slots)
            _roles.Lose(slot);
        _pools.Lose(lost.Slots);
        _barrier.Forget(answer => lost.Slots.Any(slot => answer.EndsWith(' ' + slot, StringComparison.Ordinal)));
        BeginAhead();
    }

    // ---- Beginning ----

    private void Open()
    {
        var iterations = IsOnline ? Plan.Iterations : _facts[RoleSlots.Batches].Iterations;
        var canEvaluate = IsOnline ? EvaluationPrompts > 0 : _facts[RoleSlots.Batches].HeldOut.Count > 0;
        _schedule = new Schedule(
            iterations, _flow.Definition.MaxIterations, Plan.EvaluateEvery, canEvaluate, _flow.Definition.CheckpointEvery);
        var trainers = _roles.Trainers;
        _training = new TrainingRoute(trainers, trainers.Keys.Max(trainer => trainer.Rank) + 1, iterations);
        OpenAhead();
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
            SwapIfDue(() => Train(_iteration + 1));
        else if (_saver.LastSaved < _iteration)
            _saver.Save(StateNow, Next);
        else
            _saver.WhenWritten(End);
    }

    private RunState StateNow => new(_iteration, _flow.Epoch, _totals, new Dictionary<string, StateImage>())
    {
        OwesMeasurement = _owesMeasurement,
        Score = _score?.Of(_iteration),
    };

    private void EndIteration()
    {
        _saver.AddTimesTo(_numbers);
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
        _watch.Begin(_iteration, BatchPurpose.Evaluate, IsOnline ? BatchesOf(EvaluationPrompts, answers: 1) : 1);
        if (IsOnline)
        {
            WhenAllLoaded(() => _barrier.AwaitAsked(
                [$"measured {_iteration}"], EndEvaluation, () => StartWindow(_iteration, BatchPurpose.Evaluate, EvaluationPrompts, answers: 1)));
            return;
        }

        _barrier.AwaitAsked(_training.Trainers.Keys.Select(trainer => $"evaluated {_iteration} {trainer}"), EndEvaluation, () =>
        {
            foreach (var (trainer, actor) in _training.Trainers)
                _flow.Post(actor, new EvaluateHeldOut(
                    _iteration, [.. _facts[RoleSlots.Batches].HeldOut.Where((_, batch) => batch % _training.Ranks == trainer.Rank)]));
        });
    }

    private void EndEvaluation()
    {
        Report();
        KeepState();
    }

    private void KeepState()
    {
        // A checkpoint that was resumed from and lacked its measurement has no score and would be measured again: it is written anew.
        var hasPaidDebt = _from is { OwesMeasurement: true } && _from.Iteration == _iteration && !_owesMeasurement;
        if ((_saver.LastSaved < _iteration && (_savesSoon || _schedule.SavesAfter(_iteration, IsStopping))) || hasPaidDebt)
        {
            _savesSoon = false;
            _saver.Save(StateNow, Next);
        }
        else
            _saver.KeepSafePoint(StateNow, Next);
    }

    private void Report()
    {
        _numbers.Idle.SetSlots(_roles.Readers.Keys);
        var report = _numbers.Report();
        _watch.End(report.Iteration, report.Purpose);
        _score?.Take(report);
        _flow.Run.Tell(new IterationEnded(_flow.Epoch, report));
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
        _barrier.AwaitAsked(
            _training.Trainers.Keys.Select(trainer => $"exported {trainer}"),
            () => _flow.Run.Tell(new FlowEnded(_flow.Epoch, _iteration, IsStopped: false, folders)),
            () =>
            {
                foreach (var (trainer, actor) in _training.Trainers)
                    actor.Tell(new ExportModel(_iteration, folders[trainer.Model]));
            });
    }

    // ---- Waiting for several answers ----

    // No slot's name: whoever comes in the place of those that were lost is as good.
    private static string AnyOf(string role) => $"any-{role}";

    private static string OpenAnswer(string slot) => $"open {slot}";

    // Only what is awaited counts: the same may come again, and what is late is of another iteration.
    private void Arrive(string answer, Action? take = null)
    {
        if (!_barrier.Awaits(answer))
            RunTelemetry.Late(_log, $"Dropped a late answer: {answer}.");
        ArriveIfAwaited(answer, take);
    }

    // As above, of something that may happen while nobody waits for it.
    private void ArriveIfAwaited(string answer, Action? take = null)
    {
        if (!_barrier.Awaits(answer))
            return;
        _ticks = 0;
        take?.Invoke();
        _barrier.Arrive(answer);
    }

    private sealed record AskAgain;
}
