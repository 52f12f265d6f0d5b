using System.Globalization;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Rollout roles and scorers whose contract promises no state, but which have some.</summary>
[Trait("Category", "CI")]
public sealed class StatefulReaderTests
{
    [Theory]
    [InlineData("rollout")]
    [InlineData("reward")]
    [InlineData("critic")]
    public async Task A_run_stopped_and_resumed_equals_an_unbroken_one(string role)
    {
        await using var unbroken = Harness(role);
        await unbroken.RunAsync();
        await using var first = Harness(role);
        first.MaxIterations = 2;
        var half = await first.RunAsync();
        await using var second = Harness(role, runFolder: first.RunFolder);
        second.ResumeFrom = half.Checkpoint;

        var end = await second.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(unbroken.World.Digest(), second.World.Digest());
        Assert.Equal(
            unbroken.Reports.Select(RunHarness.Line), first.Reports.Concat(second.Reports).Select(RunHarness.Line));
        Assert.Contains(role, Checkpoints.Open(half.Checkpoint!).State.Images.Keys);
    }

    [Theory]
    [InlineData("rollout", "generate 3.1")]
    [InlineData("reward", "score 3.1")]
    public async Task The_run_goes_back_to_its_last_state_When_such_a_role_fails(string role, string call)
    {
        await using var unbroken = Harness(role);
        await unbroken.RunAsync();
        var world = new FakeWorld();
        FailureTests.ThrowOnce(world, role, call);
        await using var broken = Harness(role, world);

        var end = await broken.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(unbroken.Digest(), broken.Digest());
        Assert.Equal((2, 2), (world.Made[role], world.Made["trainers.policy"]));
    }

    [Fact]
    public async Task The_run_goes_back_to_its_checkpoint_When_the_node_of_such_a_role_is_lost()
    {
        await using var unbroken = Harness("reward");
        unbroken.Flow = unbroken.Flow with { BatchesInFlight = 1 };
        await unbroken.RunAsync();
        var (world, isLost) = (new FakeWorld(), 0);
        await using var broken = Harness("reward", world);
        world.Before = (role, call, _) =>
        {
            if (role == "trainers.policy" && call == "begin 3/4" && Interlocked.Exchange(ref isLost, 1) == 0)
                broken.System.ActorSelection("/user/run-*/iteration-1").Tell(new SlotsLost(["reward.1"]));
        };
        broken.Flow = broken.Flow with { BatchesInFlight = 1, ResendAfter = TimeSpan.FromMilliseconds(20) };
        broken.CheckpointEvery = 1;
        broken.Lines = new LossyLines("rollout.1", "reference.1", "critic.1", "reward.1", RoleSlots.Experience, "trainers.policy", "trainers.critic") { AreFaultless = true };

        var end = await broken.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(unbroken.World.Digest(), world.Digest());
        Assert.Equal(2, world.Made["reward"]);
        Assert.StartsWith("The state of reward.1 is lost.", Assert.Single(broken.Notes, note => note.Kind == "restart").Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_checkpoint_holds_no_state_of_roles_that_have_none()
    {
        await using var run = new RunHarness { MaxIterations = 1 };

        var end = await run.RunAsync();

        Assert.Equal(["experience", "prompts", "trainers.critic", "trainers.policy"], Checkpoints.Open(end.Checkpoint!).State.Images.Keys.Order());
    }

    [Fact]
    public async Task A_state_that_nobody_takes_is_refused_by_name()
    {
        await using var first = Harness("reward");
        first.MaxIterations = 1;
        var end = await first.RunAsync();
        await using var second = new RunHarness(runFolder: first.RunFolder) { ResumeFrom = end.Checkpoint };

        var refused = await second.RunAsync();

        Assert.Equal(ExitCode.Invalid, refused.ExitCode);
        Assert.Contains("The state of iteration 1 has one of reward, but the plugin that is reward now takes none", refused.Failure, StringComparison.Ordinal);
    }

    internal static RunHarness Harness(string stateful, FakeWorld? world = null, string? runFolder = null)
    {
        var harness = new RunHarness(world, runFolder);
        harness.Roles = RolesWith(stateful, harness.World);
        return harness;
    }

    internal static RunRoles RolesWith(string stateful, FakeWorld fakes)
    {
        var roles = fakes.OnlineRoles("policy", "critic");
        return stateful == "rollout"
            ? roles with { Rollout = () => fakes.Count("rollout", new CountingRollout(new FakeRollout(fakes))) }
            : roles with
            {
                Scorers = roles.Scorers.ToDictionary(scorer => scorer.Key, scorer => RoleSlots.Of(scorer.Key) == stateful
                    ? () => fakes.Count(stateful, new CountingScorer(new FakeScorer(fakes, scorer.Key)))
                    : scorer.Value),
            };
    }

    // What both give depends on how many batches they have seen in the whole run.
    private sealed class CountingScorer(FakeScorer scorer) : IScoringRole, IStatefulRole
    {
        private int _seen;

        public ScoreKind Kind => scorer.Kind;

        public Scores Score(Rollout rollout, CancellationToken cancel)
        {
            _seen++;
            var scores = scorer.Score(rollout, cancel);
            return scores with { Values = new Ragged<float>(scores.Values.Offsets, scores.Values.Values.ToArray().Select(value => value + _seen).ToArray()) };
        }

        public void LoadWeights(WeightsPublication publication, CancellationToken cancel) => scorer.LoadWeights(publication, cancel);

        public void Capture(IStateWriter writer) => writer.WriteJson("seen", _seen.ToString(CultureInfo.InvariantCulture));

        public void Restore(IStateReader reader) => _seen = int.Parse(reader.ReadJson("seen"), CultureInfo.InvariantCulture);

        public void Dispose() => scorer.Dispose();
    }

    private sealed class CountingRollout(FakeRollout rollout) : IRolloutRole, IStatefulRole
    {
        private int _seen;

        public Rollout Generate(PromptBatch prompts, CancellationToken cancel)
        {
            _seen++;
            var answers = rollout.Generate(prompts, cancel);
            return answers with { Tokens = new Ragged<int>(answers.Tokens.Offsets, answers.Tokens.Values.ToArray().Select(token => token + _seen).ToArray()) };
        }

        public void LoadWeights(WeightsPublication publication, CancellationToken cancel) => rollout.LoadWeights(publication, cancel);

        public void Capture(IStateWriter writer) => writer.WriteJson("seen", _seen.ToString(CultureInfo.InvariantCulture));

        public void Restore(IStateReader reader) => _seen = int.Parse(reader.ReadJson("seen"), CultureInfo.InvariantCulture);

        public void Dispose() => rollout.Dispose();
    }
}
