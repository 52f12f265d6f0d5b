using Akka.Actor;
using ColossalChat.Contracts;
using ColossalChat.Journal;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Runs with a journal: what is made is made once, whatever fails, and it is accounted for.</summary>
[Trait("Category", "CI")]
public sealed class JournalFlowTests
{
    private const int Samples = 12;

    [Theory]
    [InlineData("trainers.policy", "begin 3/4", 3, 9)]
    [InlineData("rollout", "generate 3.1", 1, 0)]
    public async Task A_run_that_ended_within_an_iteration_makes_only_what_is_missing_When_it_is_resumed(string role, string call, int rollouts, int leastScores)
    {
        await using var unbroken = new RunHarness();
        await unbroken.RunAsync();
        var (first, _) = await EndAtAsync(role, call);
        await using var second = new RunHarness(runFolder: first.RunFolder) { ResumeFrom = Checkpoints.Latest(first.RunFolder).Checkpoint!.Folder };

        var end = await second.RunAsync();

        Assert.Equal(ExitCode.Ok, end.ExitCode);
        Assert.Equal(unbroken.World.Digest(), second.World.Digest());
        Assert.Equal(3 - rollouts, second.World.CallsOf("rollout").Count(made => made.StartsWith("generate 3.", StringComparison.Ordinal)));
        Assert.DoesNotContain("take 3.0", second.World.CallsOf("prompts"));
        var note = Assert.Single(second.Notes, note => note.Kind == "journal");
        Assert.StartsWith($"Iteration 3: {rollouts} of 3 rollouts", note.Message, StringComparison.Ordinal);
        var scores = second.World.Calls.Count(made => made.What.StartsWith("score 3.", StringComparison.Ordinal));
        Assert.InRange(scores, 0, 9 - leastScores);
        AssertExactlyOnce(second.RunFolder, iterations: 4, attempts: 2);
    }

    [Fact]
    public async Task A_role_that_spoils_its_state_costs_no_answers()
    {
        await using var unbroken = new RunHarness();
        await unbroken.RunAsync();
        var world = new FakeWorld();
        FailureTests.ThrowOnce(world, "trainers.policy", "finish 1 apply");
        await using var run = new RunHarness(world);

        Assert.Equal(ExitCode.Ok, (await run.RunAsync()).ExitCode);

        Assert.Equal(unbroken.Digest(), run.Digest());
        Assert.Equal(2, world.Made["trainers.policy"]);
        var made = world.CallsOf("rollout").Where(call => call.StartsWith("generate", StringComparison.Ordinal)).ToArray();
        Assert.Equal(12, made.Length);
        Assert.Equal(12, made.Distinct().Count());
        AssertExactlyOnce(run.RunFolder, iterations: 4, attempts: 2);
    }

    [Fact]
    public async Task Answers_of_another_origin_are_not_used_again()
    {
        var (first, _) = await EndAtAsync("trainers.policy", "begin 3/4");
        await using var second = new RunHarness(runFolder: first.RunFolder)
        {
            ResumeFrom = Checkpoints.Latest(first.RunFolder).Checkpoint!.Folder,
            Journal = new JournalSettings { ExperienceOrigin = "other fakes", Configuration = "" },
        };

        await second.RunAsync();

        Assert.Contains("generate 3.0", second.World.CallsOf("rollout"));
        Assert.DoesNotContain(second.Notes, note => note.Kind == "journal");
        AssertExactlyOnce(second.RunFolder, iterations: 4, attempts: 2);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public async Task Answers_are_used_again_by_a_process_that_uses_the_same_versions_and_by_no_other(int version, bool areUsed)
    {
        PluginCopy[] exchanged = [new("Fake", "2", "hash 2", "/fake")];
        var (first, second) = (new FakeExchange("reward"), new FakeExchange("reward"));
        first.Use(version == 1 ? [] : exchanged);
        second.Use(exchanged);
        var (run, _) = await EndAtAsync("trainers.policy", "begin 3/4", first);
        await using var resumed = new RunHarness(runFolder: run.RunFolder) { ResumeFrom = Checkpoints.Latest(run.RunFolder).Checkpoint!.Folder, Plugins = second };

        await resumed.RunAsync();

        Assert.Equal(areUsed, !resumed.World.CallsOf("rollout").Contains("generate 3.0"));
        AssertExactlyOnce(resumed.RunFolder, iterations: 4, attempts: 2);
    }

    [Fact]
    public async Task Answers_of_other_weights_are_not_used_again()
    {
        var (first, _) = await EndAtAsync("trainers.policy", "begin 3/4");
        await using var second = new RunHarness(runFolder: first.RunFolder) { ResumeFrom = Path.Combine(first.RunFolder, "checkpoints", "step-00000001") };
        second.World.IsFinite = (_, iteration, step) => (iteration, step) != (2, 0);

        await second.RunAsync();

        // Iteration 2 begins as it did and ends otherwise.
        Assert.DoesNotContain("generate 2.0", second.World.CallsOf("rollout"));
        Assert.Contains("generate 3.0", second.World.CallsOf("rollout"));
        AssertExactlyOnce(second.RunFolder, iterations: 4, attempts: 2);
        Assert.Equal(Samples, JournalReader.Audit(second.RunFolder)!.GivenUpSamples);
    }

    [Theory]
    [InlineData("reward", 0, 3)]
    [InlineData("rollout", 3, 3)]
    public async Task Roles_with_state_are_called_for_every_batch(string role, int rollouts, int rewards)
    {
        await using var unbroken = StatefulReaderTests.Harness(role);
        await unbroken.RunAsync();
        var world = new FakeWorld { Before = (who, call, _) => EndWhen(who == "trainers.policy" && call == "begin 3/4") };
        await using var first = StatefulReaderTests.Harness(role, world);
        first.CheckpointEvery = 1;
        await first.RunAsync();
        await using var second = StatefulReaderTests.Harness(role, runFolder: first.RunFolder);
        second.ResumeFrom = Checkpoints.Latest(first.RunFolder).Checkpoint!.Folder;

        Assert.Equal(ExitCode.Ok, (await second.RunAsync()).ExitCode);

        Assert.Equal(unbroken.World.Digest(), second.World.Digest());
        Assert.Equal(rollouts, second.World.CallsOf("rollout").Count(made => made.StartsWith("generate 3.", StringComparison.Ordinal)));
        Assert.Equal(rewards, second.World.CallsOf("reward").Count(made => made.StartsWith("score 3.", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(RecordType.Window)]
    [InlineData(RecordType.Scores)]
    [InlineData(RecordType.HandedOut)]
    [InlineData(RecordType.Acknowledged)]
    public async Task A_full_disk_costs_the_journal_an_iteration_and_the_run_nothing(RecordType at)
    {
        await using var unbroken = new RunHarness();
        await unbroken.RunAsync();
        await using var run = new RunHarness();
        run.Journal = run.Journal! with { OpenWith = (folder, epoch, remark) => new FullDisk(JournalWriter.Open(folder, epoch, remark), key => key.Type == at && key.Iteration == 2) };

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Ok, end.ExitCode);
        Assert.Equal(unbroken.Digest(), run.Digest());
        Assert.Equal(["cannot be written", "is written again"], run.Notes.Where(note => note.Kind == "journal")
            .Select(note => note.Message.Contains("cannot be written", StringComparison.Ordinal) ? "cannot be written" : "is written again"));
        var audit = JournalReader.Audit(run.RunFolder)!;
        Assert.True(audit.IsExactlyOnce, audit.Line);
        Assert.Equal([2L], audit.NotJournalled);
        Assert.Equal(3 * Samples, audit.Samples);
        Assert.Contains("not replayable: iteration 2", audit.Line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disk_that_stays_full_is_noted_once()
    {
        await using var run = new RunHarness();
        run.Journal = run.Journal! with { OpenWith = (_, _, _) => throw new IOException("No space left on device") };

        Assert.Equal(ExitCode.Ok, (await run.RunAsync()).ExitCode);

        Assert.Contains("No space left on device", Assert.Single(run.Notes, note => note.Kind == "journal").Message, StringComparison.Ordinal);
        Assert.Null(JournalReader.Audit(run.RunFolder));
    }

    [Fact]
    public async Task A_run_whose_journal_a_later_one_has_taken_over_writes_no_more_of_it()
    {
        var world = new FakeWorld();
        await using var run = new RunHarness(world);
        var folder = JournalFolder.Of(run.RunFolder);
        world.Before = (role, call, _) =>
        {
            if ((role, call) == ("trainers.policy", "begin 2/4"))
                JournalWriter.Open(folder, new JournalEpoch(7, 1, []), _ => { }).Dispose();
        };

        Assert.Equal(ExitCode.Ok, (await run.RunAsync()).ExitCode);

        Assert.Contains("Epoch 7 writes the journal", Assert.Single(run.Notes, note => note.Kind == "journal").Message, StringComparison.Ordinal);
        using var view = JournalView.Open(folder);
        Assert.DoesNotContain(view.Of(4), record => record.Key.Type == RecordType.Rollout);
    }

    [Fact]
    public async Task Old_iterations_go_When_only_some_are_kept()
    {
        await using var run = new RunHarness { Plan = RunHarness.OnlinePlan with { Iterations = 12 } };
        run.Journal = run.Journal! with { KeepIterations = 3, SegmentBytes = 4096 };

        await run.RunAsync();

        var audit = JournalReader.Audit(run.RunFolder)!;
        Assert.True(audit.IsExactlyOnce, audit.Line);
        // Whole segments go: at least the last three iterations stay, and what shares a segment with them.
        Assert.InRange(audit.FirstIteration, 5, 10);
        Assert.Equal(12, audit.LastIteration);
    }

    [Fact]
    public async Task A_sample_that_is_used_twice_or_never_is_found()
    {
        await using var run = new RunHarness();
        await run.RunAsync();
        using (var writer = JournalWriter.Open(JournalFolder.Of(run.RunFolder), new JournalEpoch(1, 0, []), _ => { }))
        {
            writer.Append(new RecordKey(RecordType.HandedOut, 2), []);
            writer.Append(new RecordKey(RecordType.Window, 5), JournalCodec.Write(new WindowSource("fakes", 1, [], new Dictionary<string, string> { ["policy"] = "foreign" }.ToSorted())));
            writer.Append(new RecordKey(RecordType.Window, 6), JournalCodec.Write(new WindowSource("fakes", 1, [], new Dictionary<string, string>().ToSorted())));
            writer.Append(new RecordKey(RecordType.Rollout, 6, Rows: 1), []);
            writer.Append(new RecordKey(RecordType.HandedOut, 6), []);
            writer.Append(new RecordKey(RecordType.Acknowledged, 6), JournalCodec.Write(new Dictionary<string, string>().ToSorted()));
        }

        var audit = JournalReader.Audit(run.RunFolder)!;

        Assert.Equal([2L], audit.Twice);
        Assert.Equal([5L], audit.Lost);
        Assert.Equal([5L], audit.Unconnected);
        Assert.False(audit.IsExactlyOnce);
        Assert.Contains("NOT exactly once: twice: iteration 2; lost: iteration 5", audit.Line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "", "", 1)]
    [InlineData("", "B1 A2", "A2 B1", 0)]
    [InlineData("A1", "A2", "A2", 0)]
    [InlineData("A1 B1", "", "B1 A1", 1)]
    public async Task Answers_of_other_versions_of_plugins_are_not_used_again(string begun, string changed, string now, int known)
    {
        static PluginCopy[] Copies(string names) => [.. names.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(name => new PluginCopy(name[..1], name, name, "/fake"))];
        await using var run = new RunHarness();
        var (folder, settings) = (run.RunFolder, run.Journal!);
        var journal = run.System.ActorOf(Props.Create(() => new JournalActor(folder, settings, RunHarness.OnlinePlan.ScoresNeeded)));
        var (batch, weights, role) = (new BatchId(1, 0), new Dictionary<string, string> { ["policy"] = "hash" }.ToSorted(), new FakeRollout(run.World));
        role.LoadWeights(new WeightsPublication("policy", 1, 1, "hash", null), default);
        journal.Tell(new BeginEpoch(1, 0) { Exchanged = Copies(begun) });
        await journal.Ask<WindowOpened>(new OpenWindow(1, 1, 1, weights), TimeSpan.FromSeconds(20));
        journal.Tell(new KeepPart(1, batch, role.Generate(new FakePrompts(run.World).Take(batch, 0, 2, 2), default), null));
        if (changed.Length > 0)
            journal.Tell(new ChangeOrigin(1, Copies(changed)));
        journal.Tell(new BeginEpoch(2, 0) { Exchanged = Copies(now) });

        var opened = await journal.Ask<WindowOpened>(new OpenWindow(2, 1, 1, weights), TimeSpan.FromSeconds(20));

        Assert.Equal(known, opened.Parts.Count);
    }

    [Fact]
    public async Task Offline_runs_and_runs_without_a_journal_keep_none()
    {
        await using var offline = new RunHarness { Plan = RunHarness.OfflinePlan };
        await offline.RunAsync();
        await using var off = new RunHarness { Journal = null };
        await off.RunAsync();
        Assert.Null(JournalReader.Audit(offline.RunFolder));
        Assert.Null(JournalReader.Audit(off.RunFolder));
    }

    internal static void AssertExactlyOnce(string runFolder, int iterations, int attempts)
    {
        var audit = JournalReader.Audit(runFolder)!;
        Assert.True(audit.IsExactlyOnce, audit.Line);
        Assert.Equal((iterations, (long)iterations * Samples, attempts), (audit.Iterations, audit.Samples, audit.Attempts));
        Assert.Empty(audit.NotJournalled);
    }

    internal static void EndWhen(bool isTime)
    {
        if (isTime)
            throw new UserErrorException("It ends here.", ExitCode.NotFound);
    }

    private static async Task<(RunHarness Run, RunEnd End)> EndAtAsync(string role, string call, FakeExchange? plugins = null)
    {
        var world = new FakeWorld { Before = (who, what, _) => EndWhen(who == role && what == call) };
        var run = new RunHarness(world) { CheckpointEvery = 1, Plugins = plugins, Flow = new FlowOptions { SafePointShare = 0 } };
        var end = await run.RunAsync();
        await run.DisposeAsync();
        Assert.Equal(ExitCode.NotFound, end.ExitCode);
        return (run, end);
    }

    private sealed class FullDisk(IJournalWriter writer, Func<RecordKey, bool> isFull) : IJournalWriter
    {
        public RecordHead Append(RecordKey key, ReadOnlySpan<byte> content) =>
            isFull(key) ? throw new IOException("No space left on device") : writer.Append(key, content);

        public void Flush() => writer.Flush();

        public void Drop(long iteration) => writer.Drop(iteration);

        public void Dispose() => writer.Dispose();
    }
}

internal static class SortedWeights
{
    public static System.Collections.Immutable.ImmutableSortedDictionary<string, string> ToSorted(this Dictionary<string, string> weights) =>
        System.Collections.Immutable.ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, weights);
}
