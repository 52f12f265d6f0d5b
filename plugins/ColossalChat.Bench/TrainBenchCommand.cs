using ColossalChat.Contracts;
using static ColossalChat.Bench.BenchOutput;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>
/// Training through the engine against plain loops written by the book, step by step in turn, each side in a process of its
/// own: what the yardsticks leave on this one's heap is nobody's. Then strategy by strategy, with ranks as processes.
/// </summary>
/// <param name="start">Starts one side; null starts a child process of this program.</param>
internal sealed class TrainBenchCommand(Func<TrainBenchTask, ISteppedProgram>? start = null) : CliCommand<TrainBenchOptions>
{
    private readonly Func<TrainBenchTask, ISteppedProgram> _start = start ?? (task => new StepProcess(task.Options.Part, task.Arguments, task.IsPlain));

    /// <inheritdoc/>
    public override string Path => "bench train";

    /// <inheritdoc/>
    public override string Summary => "Speed of training through the engine against plain TorchSharp loops, and of each strategy";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(TrainBenchOptions options, CliContext context, CancellationToken cancel)
    {
        Check(options.Problems());
        using var lease = context.Node.Devices.Take(options.Device, cancel);
        if (options.Part.Length > 0)
            Serve(options, context, cancel);
        else
            Write(context, Measure(options, context, cancel).ToJson(), options.Json);
        return Task.FromResult(ExitCode.Ok);
    }

    private static void Serve(TrainBenchOptions options, CliContext context, CancellationToken cancel)
    {
        var (step, owner) = new TrainBenchTask(options).Open(context.Node, cancel);
        using (owner)
            StepServer.Serve(step, Console.In, context.Out, cancel);
    }

    private TrainBenchReport Measure(TrainBenchOptions options, CliContext context, CancellationToken cancel)
    {
        context.Error.WriteLine("measuring every operation alone ...");
        var report = new TrainBenchReport(options)
        {
            Operations = OperationTimes.Measure(options.Sizes, options.Batch, options.Tokens, Precision(options.Precision)!.Value, device(options.Device)),
        };
        try
        {
            using var engine = _start(TrainBenchTask.Engine(options));
            AgainstPlainLoops(report, engine, context, cancel);
            foreach (var strategy in options.StrategyNames)
                WithStrategy(report, strategy, engine, context, cancel);
            return report;
        }
        catch (UserErrorException) when (cancel.IsCancellationRequested)
        {
            // Ctrl+C reaches the children as well; that they ended is no failure then.
            throw new OperationCanceledException(cancel);
        }
    }

    private void AgainstPlainLoops(TrainBenchReport report, ISteppedProgram engine, CliContext context, CancellationToken cancel)
    {
        using var eager = _start(TrainBenchTask.Plain(report.Options, EagerLoop.Name));
        using var mixed = _start(TrainBenchTask.Plain(report.Options, MixedLoop.Name));
        for (var step = 1 - report.Options.WarmUps; step <= report.Options.Steps; step++)
        {
            Say(context, step, report.Options.Steps, "plain loops", cancel);
            var turn = new TrainBenchTurn(Once(engine), Peak(report.Options, bfloat16), Peak(report.Options, float32), Once(eager), Once(mixed));
            if (step >= 1)
                report.Turns.Add(turn);
        }
    }

    private static GemmPeak.Rates Peak(TrainBenchOptions options, ScalarType precision) =>
        GemmPeak.Measure(options.Sizes, options.Batch * options.Tokens, precision, device(options.Device), options.PeakSeconds);

    private void WithStrategy(TrainBenchReport report, string strategy, ISteppedProgram engine, CliContext context, CancellationToken cancel)
    {
        var (alone, together) = (new List<StepReport>(), new List<IReadOnlyList<StepReport>>());
        using var team = new StrategyTeam(report.Options, strategy, _start);
        for (var step = 1 - report.Options.WarmUps; step <= report.Options.Steps; step++)
        {
            Say(context, step, report.Options.Steps, $"{strategy}, {report.Options.Ranks} ranks", cancel);
            var (ours, theirs) = (Once(engine), team.Step());
            if (step < 1)
                continue;
            alone.Add(ours);
            together.Add(theirs);
        }

        report.Strategies.Add(StrategyTeam.ToJson(report, strategy, together, alone));
    }

    private static StepReport Once(ISteppedProgram program)
    {
        program.Begin();
        return program.End();
    }

    private static void Say(CliContext context, int step, int steps, string what, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        context.Error.WriteLine(step < 1 ? $"{what}: warming up ..." : $"{what}: step {step} of {steps}");
    }
}
