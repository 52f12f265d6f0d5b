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
    private StepGate _gate = StepGate.Of([]);
    private StepVerdict? _verdict;
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
        _barrier.Await(_roles.Slots.Select(slot => $"open {slot}"), Open, _roles.HostAgain);
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
            if (_swaps.IsUnderWay)
                return;
            _pools.Welcome(opened.Role, Sender);
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
        Receive<WindowOpened>(opened => opened.Iteration == _iteration || _ahead is not null, StartTraining);
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
        Receive<SlotsLost>(lost =>
        {
            foreach (var slot in lost.Slots)
                _roles.Lose(slot);
            _pools.Lose(lost.Slots);
            _barrier.Forget(answer => lost.Slots.Any(slot => answer.EndsWith(' ' + slot, StringComparison.Ordinal)));
            BeginAhead();
        });
        // Rarer and rarer: what takes its time is not lost. But not so rare that a run waits for what is.
        Receive<AskAgain>(_ =>
        {
            _ticks++;
            if (BitOperations.IsPow2(_ticks) || _ticks % MostTicks == 0)
                _barrier.AskAgain();
        });
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

    private void Train(long iteration)
    {
        _iteration = iteration;
        _gate = StepGate.Of(_training.Trainers.Keys);
        _numbers = new IterationNumbers(iteration, BatchPurpose.Train);
        _numbers.Add("train/overflow_steps", 0);
        if (!IsOnline && iteration == (_from?.Iteration ?? 0) + 1)
            _numbers.Set(_facts[RoleSlots.Batches].Metrics);
        _verdict = null;
        _watch.Begin(iteration, BatchPurpose.Train, Math.Max(_training.Ranks, IsOnline ? BatchesOf(Plan.PromptsPerIteration, Plan.AnswersPerPrompt) : 1));
        AwaitAsked(
            [$"built {iteration}", .. _training.Trainers.Keys.Select(trainer => $"trained {iteration} {trainer}")],
            () => PublishTrained(EndIteration),
            () =>
            {
                if (_ahead is not null)
                    TrainAhead();
                else if (IsOnline)
                    OpenTraining();
                else
                    _roles.Batches.Tell(new StartBatch(iteration, _training));
                TellVerdict();
            });
    }

    private void StartWindow(long iteration, BatchPurpose purpose, int prompts, int answers)
    {
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

        (_gate, _verdict) = (gate.Next(), verdict);
        TellVerdict();
    }

    private void TellVerdict()
    {
        if (_verdict is not { } verdict)
            return;
        foreach (var trainer in verdict.Members)
            _training.Trainers[trainer].Tell(new FinishStep(new BatchId(_iteration, trainer.Rank), verdict.Step, verdict.Apply));
    }

    private void Trained(ShardTrained trained)
    {
        if (trained.Trainer.Rank == 0)
            _numbers.Add("timing/learn_s", trained.Took.TotalSeconds);
        _numbers.Idle.Add(RoleSlots.Of(trained.Trainer with { Rank = 0 }), trained.Took.TotalSeconds / _training.Ranks);
        _numbers.SetShare(trained.Trainer.Rank, trained.Metrics);
        Arrive($"trained {trained.Batch.Iteration} {trained.Trainer}");
    }

    // Versions count updates from 1, the weights before training, so they follow from the iteration.
    private void Publish(Action then)
    {
        if (!IsOnline)
        {
            then();
            return;
        }

        _numbers.PublishBegan();
        var readers = _roles.Readers;
        AwaitAsked(
            Plan.ModelsTrained.SelectMany(model => readers.Keys.Select(reader => LoadAnswer(_iteration, model, reader))),
            then,
            () =>
            {
                foreach (var (trainer, actor) in _training.Trainers)
                    actor.Tell(new PublishWeights(_iteration, _flow.Epoch, _iteration + 1, trainer.Rank == 0 ? [.. readers.Values] : []));
            });
    }

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
            WhenAllLoaded(() => AwaitAsked(
                [$"measured {_iteration}"], EndEvaluation, () => StartWindow(_iteration, BatchPurpose.Evaluate, EvaluationPrompts, answers: 1)));
            return;
        }

        AwaitAsked(_training.Trainers.Keys.Select(trainer => $"evaluated {_iteration} {trainer}"), EndEvaluation, () =>
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
        AwaitAsked(
            _training.Trainers.Keys.Select(trainer => $"exported {trainer}"),
            () => _flow.Run.Tell(new FlowEnded(_flow.Epoch, _iteration, IsStopped: false, folders)),
            () =>
            {
                foreach (var (trainer, actor) in _training.Trainers)
                    actor.Tell(new ExportModel(_iteration, folders[trainer.Model]));
            });
    }

    // ---- Waiting for several answers ----

    private void AwaitAsked(IEnumerable<string> answers, Action then, Action ask)
    {
        _barrier.Await(answers, then, ask);
        ask();
    }

    private void Arrive(string answer)
    {
        _ticks = 0;
        if (!_barrier.Arrive(answer))
            RunTelemetry.Late(_log, $"Dropped a late answer: {answer}.");
    }

    private sealed record AskAgain;
}
