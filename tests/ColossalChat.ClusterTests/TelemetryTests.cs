using System.Collections.Concurrent;
using System.Diagnostics;
using Akka.Actor;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Listeners hear every run of the process, so these tests run alone.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneInTheProcess
{
    public const string Name = "alone in the process";
}

[Trait("Category", "CI")]
[Collection(AloneInTheProcess.Name)]
public sealed class TelemetryTests
{
    [Fact]
    public async Task A_batch_is_one_trace_When_its_roles_are_in_two_actor_systems()
    {
        using var spans = new SpanListener();
        await using var here = new RunHarness();
        await using var there = new RunHarness();
        var batch = new BatchId(7, 2);
        var (flowHere, flowThere) = (FlowOf(here), FlowOf(there));
        var scored = new TaskCompletionSource<RolloutScored>(TaskCreationOptions.RunContinuationsAsynchronously);
        var experience = there.System.ActorOf(Props.Create(() => new Taker(scored)));
        var reward = there.System.ActorOf(Props.Create(() => new ScoringActor(flowThere, "reward", ScoreKind.Rewards, () => new FakeScorer(there.World, ScoreKind.Rewards), null)));
        var rollout = here.System.ActorOf(Props.Create(() => new RolloutActor(flowHere, "rollout", () => new FakeRollout(here.World), null)));
        var window = new Window(7, BatchPurpose.Train, 3, new Route(
            ActorRefs.Nobody, [reward], experience, new TrainingRoute(new Dictionary<TrainerId, IActorRef>(), 1, 10)));

        rollout.Tell(new WeightsReady(6, new WeightsPublication("policy", 3, 7, "hash", null)));
        rollout.Tell(new GenerateRollout(batch, window, new FakePrompts(here.World).Take(batch, 0, 2, 2)));
        await scored.Task.WaitAsync(TimeSpan.FromSeconds(20));

        var trace = spans.Of("story", batch);
        Assert.Equal(["generate rollout", "score reward"], trace.Select(span => $"{span.OperationName} {span.GetTagItem("role")}"));
        Assert.All(trace, span => Assert.Equal(TraceIds.RootOf("story", batch, 3), span.ParentSpanId));
        Assert.All(trace, span => Assert.Equal(("7.2", 7L, 2, 3L, "ok", 4L), (
            span.GetTagItem("batch"), (long)span.GetTagItem("iteration")!, (int)span.GetTagItem("shard")!, (long)span.GetTagItem("epoch")!, span.GetTagItem("outcome"), (long)span.GetTagItem("rows")!)));
        Assert.All(trace, span => Assert.True((double)span.GetTagItem("compute_s")! >= 0 && (double)span.GetTagItem("device_wait_s")! >= 0 && (double)span.GetTagItem("queue_wait_s")! >= 0));
    }

    [Fact]
    public async Task Every_call_of_a_batch_is_a_span_below_its_root()
    {
        using var spans = new SpanListener();
        await using var run = new RunHarness { CheckpointEvery = 2 };

        await run.RunAsync();

        string[] shared = ["batch", "take prompts prompts", "generate rollout", "score reference", "score critic", "score reward"];
        Assert.Equal(shared.Order(), spans.NamesOf(Id(run), new BatchId(2, 1)));
        var first = spans.NamesOf(Id(run), new BatchId(2, 0));
        Assert.Empty(shared.Append("build experience experience").Append("write checkpoint").Append("capture its state trainers.policy").Except(first));
        Assert.Equal(4, first.Count(name => name.StartsWith("compute step", StringComparison.Ordinal)));
        Assert.Equal(4, first.Count(name => name.StartsWith("finish step", StringComparison.Ordinal)));
        Assert.Equal(2, first.Count(name => name.StartsWith("publish its weights", StringComparison.Ordinal)));
        Assert.Equal(8, first.Count(name => name.StartsWith("load weights", StringComparison.Ordinal)));

        // All rows of the iteration, prompts of three tokens and answers of two to four.
        var begun = spans.Of(Id(run), new BatchId(2, 0)).First(span => span.OperationName == "begin");
        Assert.Equal((12L, 12L * 3 + run.World.Windows.ElementAt(1).Sum(part => (long)part.Rollout.Tokens.Values.Length)), (begun.GetTagItem("rows"), begun.GetTagItem("tokens")));
        var roots = spans.All.Where(span => span.OperationName == "batch" && (string)span.GetTagItem("run")! == Id(run)).ToArray();
        Assert.Equal(1 + (4 * 3), roots.Length);
        Assert.All(roots, root => Assert.Equal((default, true), (root.ParentSpanId, spans.All.Any(span => span.ParentSpanId == root.SpanId))));
        Assert.All(spans.Of(Id(run), new BatchId(3, 0)).Where(span => span.OperationName != "batch"), span =>
            Assert.Contains(roots, root => root.SpanId == span.ParentSpanId && root.TraceId == span.TraceId));
    }

    [Fact]
    public async Task A_batch_that_is_made_again_has_a_root_for_each_attempt()
    {
        using var spans = new SpanListener();
        var failures = 0;
        await using var run = new RunHarness(new FakeWorld
        {
            Before = (role, what, _) =>
            {
                if (role == "trainers.policy" && what == "compute 1" && Interlocked.Increment(ref failures) == 3)
                    throw new InvalidOperationException("broken on purpose");
            },
        });

        Assert.Equal(ExitCode.Ok, (await run.RunAsync()).ExitCode);

        var trace = spans.Of(Id(run), new BatchId(3, 0));
        var roots = trace.Where(span => span.OperationName == "batch").ToDictionary(span => (long)span.GetTagItem("epoch")!);
        Assert.Equal(("given up", "ok"), (roots[1].GetTagItem("outcome"), roots[2].GetTagItem("outcome")));
        Assert.NotEqual(roots[1].SpanId, roots[2].SpanId);
        var failed = Assert.Single(trace, span => span.Status == ActivityStatusCode.Error && (string)span.GetTagItem("outcome")! == "failed");
        Assert.Equal(("compute step", 1, "broken on purpose", roots[1].SpanId), (failed.OperationName, failed.GetTagItem("step"), failed.StatusDescription, failed.ParentSpanId));
    }

    [Fact]
    public async Task Metrics_count_what_a_run_did()
    {
        using var metrics = new MetricListener();
        var failures = 0;
        await using var run = new RunHarness(new FakeWorld
        {
            Before = (role, what, _) =>
            {
                if (role == "reward" && what == "score 2.1" && Interlocked.Increment(ref failures) == 1)
                    throw new InvalidOperationException("broken on purpose");
            },
        }) { CheckpointEvery = 2 };

        await run.RunAsync();

        var written = run.World.Windows.Sum(window => window.Sum(part => (double)part.Rollout.Tokens.Values.Length));
        Assert.Equal(12, metrics.Sum("colossalchat.batches", "purpose=train"));
        Assert.Equal(written, metrics.Sum("colossalchat.tokens.written", "purpose=train"));
        Assert.Equal(written, metrics.Sum("colossalchat.tokens.by_staleness", "staleness=0"));
        Assert.Equal(written + (4 * 12 * 3), metrics.Sum("colossalchat.tokens.trained"));
        Assert.Equal(12, metrics.Count("colossalchat.role.call.duration", "role=rollout", "call=generate", "outcome=ok"));
        Assert.Equal(8, metrics.Count("colossalchat.role.call.duration", "role=trainers.critic", "call=compute step"));
        Assert.Equal(1, metrics.Count("colossalchat.role.call.duration", "role=reward", "call=score", "outcome=failed"));
        Assert.Equal(1, metrics.Sum("colossalchat.role.failures", "role=reward", "repair=restart"));
        Assert.Equal(2, metrics.Count("colossalchat.checkpoint.duration", "outcome=ok"));
        Assert.Equal(2, metrics.Max("colossalchat.credits.in_flight"));
        Assert.Equal((0, 0, 4), (metrics.Last("colossalchat.credits.in_flight"), metrics.Last("colossalchat.role.queue", "role=rollout"), metrics.Last("colossalchat.iteration")));
    }

    [Fact]
    public async Task Reports_tell_idle_shares_and_staleness()
    {
        await using var run = new RunHarness();

        await run.RunAsync();

        string[] roles = ["rollout", "reference", "critic", "reward", "experience", "trainers.policy", "trainers.critic"];
        Assert.All(run.Reports, report =>
        {
            Assert.All(roles, role => Assert.InRange(report.Metrics[$"timing/idle_share/{role}"], 0, 1));
            Assert.Equal((0d, 0d, 1d), (report.Metrics["rollout/staleness_mean"], report.Metrics["rollout/staleness_max"], report.Metrics["rollout/staleness_share/0"]));
            Assert.InRange(report.Metrics["timing/publish_s"], 0, report.Metrics["perf/step_s"]);
        });
    }

    [Fact]
    public void An_idle_share_is_what_a_role_did_not_compute_of_the_iteration()
    {
        var idle = new IdleShares();
        idle.SetSlots(["rollout", "rollout.3", "critic"]);
        var metrics = new Dictionary<string, double> { ["timing/generate_s"] = 6, ["timing/value_s"] = 1, ["timing/learn_s"] = 3 };
        idle.Add("trainers.policy", 3);

        idle.AddTo(metrics, seconds: 4);

        Assert.Equal((0.25, 0.75, 0.25), (metrics["timing/idle_share/rollout"], metrics["timing/idle_share/critic"], metrics["timing/idle_share/trainers.policy"]));
        Assert.DoesNotContain("timing/idle_share/reward", metrics.Keys);
    }

    [Fact]
    public void Staleness_counts_updates_between_writing_and_use()
    {
        var prompts = new FakePrompts(new FakeWorld()).Take(new BatchId(20, 0), 0, 2, 1);
        var tokens = Ragged.FromRows([new[] { 1, 2, 3 }, [4, 5]]);
        var rollout = new Rollout(prompts, tokens, Ragged.FromRows([new[] { 0f, 0, 0 }, [0, 0]]), Ragged.FromRows([new[] { true, true, true }, [true, true]]),
            Ragged.FromRows([new[] { 20L, 19, 19 }, [2, 1]]), [FinishReason.Stop, FinishReason.Stop]);

        var metrics = Staleness.Of([new ScoredRollout(rollout, new Dictionary<ScoreKind, Scores>())], version: 20).Counted();

        Assert.Equal(
            new Dictionary<string, double>
            {
                ["rollout/staleness_max"] = 19, ["rollout/staleness_mean"] = (1 + 1 + 18 + 19) / 5d,
                ["rollout/staleness_share/0"] = 0.2, ["rollout/staleness_share/1"] = 0.4, ["rollout/staleness_share/16+"] = 0.4,
            },
            metrics);
    }

    [Fact]
    public async Task Nothing_is_made_While_nobody_listens()
    {
        await using var run = new RunHarness();
        var watch = new RoleWatch(new FlowContext(run.Definition(), ActorRefs.Nobody, ActorRefs.Nobody, 1, default, default), "rollout", run.System);
        var call = new RoleCall<IRolloutRole>(new BatchId(1, 0), "generate", (_, _) => null, (_, _) => { });
        void Calls(int count)
        {
            for (var i = 0; i < count; i++)
            {
                watch.Waiting(1);
                watch.Sent();
                watch.Computing();
                watch.Ended(call, RoleWatch.Ok, null);
            }
        }

        Calls(1000);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Calls(1000);

        Assert.False(RunTelemetry.Source.HasListeners());
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Theory]
    [InlineData("compute step 12", "compute step", 12)]
    [InlineData("take a batch", "take a batch", null)]
    [InlineData("score", "score", null)]
    public void Numbers_of_steps_are_no_part_of_a_calls_name(string what, string name, int? step) => Assert.Equal((name, step), RoleWatch.NameOf(what));

    [Fact]
    public async Task A_role_that_logs_during_a_call_can_be_told_its_batch()
    {
        var seen = new ConcurrentQueue<string>();
        await using var run = new RunHarness(new FakeWorld
        {
            Before = (role, what, _) =>
            {
                if (what.StartsWith("generate", StringComparison.Ordinal))
                    seen.Enqueue($"{what.Split(' ')[1]} {CurrentCall.Value?.Role} {CurrentCall.Value?.Batch}");
            },
        });

        await run.RunAsync();

        Assert.Equal(12, seen.Count);
        Assert.All(seen, line => Assert.Equal([line.Split(' ')[0], "rollout", line.Split(' ')[0]], line.Split(' ')));
        Assert.Null(CurrentCall.Value);
    }

    private static FlowContext FlowOf(RunHarness node) => new(node.Definition() with { RunId = "story" }, ActorRefs.Nobody, ActorRefs.Nobody, Epoch: 3, default, default);

    private static string Id(RunHarness run) => run.Definition().RunId;

    private sealed class Taker : ReceiveActor
    {
        public Taker(TaskCompletionSource<RolloutScored> scored) => Receive<RolloutScored>(message => scored.TrySetResult(message));
    }
}
