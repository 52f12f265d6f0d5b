using System.Collections.Concurrent;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests;

[Trait("Category", "CI")]
public sealed class FailureTests
{
    [Theory]
    [InlineData("rollout", "generate 2.1")]
    [InlineData("reward", "score 3.0")]
    [InlineData("critic", "score 1.2")]
    [InlineData("rollout", "load policy 3")]
    [InlineData("prompts", "take 2.1")]
    [InlineData("experience", "build 3.0")]
    [InlineData("experience", "capture")]
    [InlineData("trainers.policy", "compute 1")]
    [InlineData("trainers.policy", "finish 0 apply")]
    [InlineData("trainers.critic", "finish 1 apply")]
    [InlineData("trainers.critic", "publish 3")]
    [InlineData("trainers.policy", "export")]
    [InlineData("rollout", "make")]
    public async Task A_role_that_throws_once_is_made_anew_and_the_run_ends_as_if_nothing_had_been(string role, string call)
    {
        await using var unbroken = new RunHarness();
        await unbroken.RunAsync();
        var world = new FakeWorld();
        ThrowOnce(world, role, call);
        await using var broken = new RunHarness(world);

        var end = await broken.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(unbroken.Digest(), broken.Digest());
        Assert.Equal(2, world.Made[role]);
        Assert.Single(broken.Notes, note => note.Kind == "restart" && note.Message.Contains(role, StringComparison.Ordinal));
        // Prompts hold nothing to dispose, and what threw while it was made was nobody's yet.
        Assert.All(world.Alive, alive => Assert.Equal(
            (alive.Key, alive.Key == "prompts" ? world.Made["prompts"] : call == "make" && alive.Key == role ? 1 : 0), (alive.Key, alive.Value)));
    }

    [Fact]
    public async Task Only_the_failed_batch_is_repeated_When_a_role_without_state_fails()
    {
        var world = new FakeWorld();
        ThrowOnce(world, "rollout", "generate 2.1");
        await using var run = new RunHarness(world);

        await run.RunAsync();

        var calls = world.CallsOf("rollout").ToList();
        Assert.Equal(2, calls.Count(call => call == "generate 2.1"));
        Assert.Equal(13, calls.Count(call => call.StartsWith("generate", StringComparison.Ordinal)));
        Assert.Equal(1, world.Made["trainers.policy"]);
        // The new role knows the newest weights before the batch comes again.
        var made = calls.LastIndexOf("make");
        Assert.Equal(["load critic 2", "load policy 2", "generate 2.1"], calls.Skip(made + 1).Take(3));
    }

    [Fact]
    public async Task The_run_goes_back_to_a_checkpoint_When_no_copies_are_kept_in_memory()
    {
        await using var unbroken = new RunHarness();
        await unbroken.RunAsync();
        var world = new FakeWorld();
        await using var broken = new RunHarness(world) { CheckpointEvery = 2 };
        broken.Flow = broken.Flow with { SafePointShare = 0 };
        ThrowOnce(world, "trainers.critic", "begin 4/4");

        var end = await broken.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(unbroken.Digest(), broken.Digest());
        Assert.Equal(2, world.CallsOf("trainers.policy").Count(call => call == "begin 3/4"));
    }

    [Fact]
    public async Task The_run_fails_and_says_why_When_a_role_fails_too_often()
    {
        var world = new FakeWorld { Before = (role, call, _) => Throw.When(role == "reward" && call == "score 2.1", "rubbish in") };
        await using var run = new RunHarness(world);
        run.Flow = run.Flow with { RoleRestarts = 2 };

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Failed, end.ExitCode);
        Assert.Contains("reward failed to score (batch 2.1): InvalidOperationException: rubbish in", end.Failure, StringComparison.Ordinal);
        Assert.Contains("3 times within 10 minutes; flow.role-restarts allows 2", end.Failure, StringComparison.Ordinal);
        Assert.Equal(3, world.Made["reward"]);
        Assert.Empty(end.ModelFolders);
        Assert.Equal(0, world.Alive["trainers.policy"]);
    }

    [Theory]
    [InlineData("trainers.policy", 1, "flow.role-restarts allows 1 restarts. Mend the cause, then go on with --resume latest.")]
    [InlineData("reward", 0, "flow.role-restarts allows 1 restarts. Mend the cause, then start the run again.")]
    [InlineData("trainers.policy", 0, "There is no state to go back to: flow.safe-point-share is 0 and no checkpoint was saved. Start the run again with flow.safe-point-share or run.checkpoint-every above 0.")]
    public async Task A_run_that_fails_says_what_to_do_next(string failing, int checkpointEvery, string expected)
    {
        var world = new FakeWorld { Before = (role, call, _) => Throw.When(role == failing && call is "begin 3/4" or "score 3.0", "no") };
        await using var run = new RunHarness(world) { CheckpointEvery = checkpointEvery };
        run.Flow = run.Flow with { RoleRestarts = 1, SafePointShare = 0 };

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Failed, end.ExitCode);
        Assert.EndsWith(expected, end.Failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_that_is_told_again_counts_once_When_others_fail_in_between()
    {
        var world = new FakeWorld();
        await using var run = new RunHarness(world);
        run.Flow = run.Flow with { RoleRestarts = 1 };
        world.Before = (role, call, _) =>
        {
            if (role != "trainers.policy" || call != "begin 2/4")
                return;
            // Both are told of until somebody answers.
            for (var again = 0; again < 3; again++)
                foreach (var slot in (string[])["rollout.1", "reward.1"])
                    run.System.ActorSelection("/user/run-*").Tell(new RoleFailed(1, slot, new BatchId(2, 0), $"{slot} failed.", Repair.Restart) { Ticket = 1 });
        };

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(2, run.Notes.Count(note => note.Kind == "restart"));
    }

    [Fact]
    public async Task A_trainer_that_always_throws_ends_the_run()
    {
        var world = new FakeWorld { Before = (role, call, _) => Throw.When(role == "trainers.policy" && call == "compute 0", "no") };
        await using var run = new RunHarness(world);

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Failed, end.ExitCode);
        Assert.Equal(4, world.Made["trainers.policy"]);
    }

    [Fact]
    public async Task An_error_that_the_user_must_mend_ends_the_run_at_once_with_its_exit_code()
    {
        var world = new FakeWorld
        {
            Before = (role, call, _) =>
            {
                if (role == "critic" && call == "make")
                    throw new UserErrorException("models.critic.path = nowhere does not exist.", ExitCode.NotFound);
            },
        };
        await using var run = new RunHarness(world);

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.NotFound, end.ExitCode);
        Assert.Contains("models.critic.path = nowhere does not exist.", end.Failure, StringComparison.Ordinal);
        Assert.Equal(1, world.Made["critic"]);
    }

    [Fact]
    public async Task A_role_that_hangs_is_cancelled_and_its_batch_repeated()
    {
        await using var unbroken = new RunHarness();
        await unbroken.RunAsync();
        var world = new FakeWorld();
        var hung = 0;
        world.Before = (role, call, cancel) =>
        {
            if (role == "rollout" && call == "generate 2.0" && Interlocked.Exchange(ref hung, 1) == 0)
            {
                cancel.WaitHandle.WaitOne();
                cancel.ThrowIfCancellationRequested();
            }
        };
        await using var run = new RunHarness(world);
        run.Flow = run.Flow with { RoleTimeout = TimeSpan.FromMilliseconds(300) };

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(unbroken.Digest(), run.Digest());
        Assert.Contains(run.Notes, note => note.Kind == "restart" && note.Message.Contains("role-timeout", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_run_fails_When_a_role_ignores_its_cancellation()
    {
        using var release = new ManualResetEventSlim();
        var world = new FakeWorld
        {
            Before = (role, call, _) =>
            {
                if (role == "rollout" && call == "generate 2.0")
                    release.Wait(CancellationToken.None);
            },
        };
        await using var run = new RunHarness(world);
        run.Flow = run.Flow with { RoleTimeout = TimeSpan.FromMilliseconds(200), CancelGrace = TimeSpan.FromMilliseconds(200) };
        var disposed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        world.Disposing = role =>
        {
            if (role == "trainers.policy")
                disposed.TrySetResult();
        };

        var end = await run.RunAsync();

        // The device stays with the role that hangs; the others' memory comes free all the same.
        await disposed.Task.WaitAsync(TimeSpan.FromSeconds(30));
        release.Set();

        Assert.Equal(ExitCode.Failed, end.ExitCode);
        Assert.Contains("rollout failed to generate (batch 2.0)", end.Failure, StringComparison.Ordinal);
        Assert.Contains("--resume latest", end.Failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failed_run_leaves_its_newest_state_on_disk()
    {
        var world = new FakeWorld { Before = (role, call, _) => Throw.When(role == "rollout" && call == "generate 3.0", "no") };
        await using var run = new RunHarness(world);
        run.Flow = run.Flow with { SafePointShare = 1e6 }; // Copies are always due, however slow this machine is.

        var end = await run.RunAsync();

        Assert.Equal((ExitCode.Failed, 2L), (end.ExitCode, end.LastIteration));
        var kept = Checkpoints.Latest(run.RunFolder).Checkpoint;
        Assert.Equal((2L, end.Checkpoint), (kept?.Iteration ?? 0, kept?.Folder));
    }

    [Fact]
    public async Task The_run_fails_When_what_happens_cannot_be_recorded()
    {
        await using var run = new RunHarness();
        run.OnReport = report => Throw.When(report.Iteration == 2, "disk full");

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Failed, end.ExitCode);
        Assert.Contains("disk full", end.Failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_disk_under_the_metrics_ends_with_Resource_and_the_next_step()
    {
        await using var run = new RunHarness();
        run.OnReport = report => throw new IOException("No space left on device : 'metrics.jsonl'");

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Resource, end.ExitCode);
        Assert.Contains("No space left on device", end.Failure, StringComparison.Ordinal);
        Assert.Contains("Make room", end.Failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_scorer_that_breaks_its_promise_is_named()
    {
        await using var run = new RunHarness();
        var roles = run.World.OnlineRoles("policy", "critic");
        run.Roles = roles with
        {
            Scorers = new Dictionary<ScoreKind, Func<IScoringRole>>(roles.Scorers)
            {
                [ScoreKind.Values] = () => new FakeScorer(run.World, ScoreKind.Rewards),
            },
        };

        var end = await run.RunAsync();

        Assert.Contains("critic failed to score", end.Failure, StringComparison.Ordinal);
        Assert.Contains("It gave Rewards; the stage needs Values", end.Failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Roles_are_disposed_in_their_turn_on_the_device()
    {
        var devices = new WatchedDevices();
        var (disposed, outOfTurn) = (0, new ConcurrentQueue<string>());
        var world = new FakeWorld();
        world.Disposing = role =>
        {
            Interlocked.Increment(ref disposed);
            if (devices.Holder != Environment.CurrentManagedThreadId)
                outOfTurn.Enqueue(role);
        };
        ThrowOnce(world, "reward", "score 2.0");
        await using var run = new RunHarness(world) { Devices = devices };

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Empty(outOfTurn);
        Assert.Equal(world.Made.Values.Sum() - world.Made["prompts"], disposed);
    }

    internal static void ThrowOnce(FakeWorld world, string role, string call)
    {
        var thrown = 0;
        world.Before = (currentRole, currentCall, _) =>
            Throw.When(currentRole == role && currentCall == call && Interlocked.Exchange(ref thrown, 1) == 0, "injected");
    }
}

/// <summary>Knows which thread has the turn; there is one device.</summary>
internal sealed class WatchedDevices : IDeviceLeases
{
    private readonly DeviceLeases _devices = new();
    private int _holder;

    /// <summary>Managed thread id; 0 when nobody has the turn.</summary>
    public int Holder => Volatile.Read(ref _holder);

    public IDisposable Take(string device, CancellationToken cancel)
    {
        var turn = _devices.Take(device, cancel);
        Volatile.Write(ref _holder, Environment.CurrentManagedThreadId);
        return new Turn(this, turn);
    }

    private sealed class Turn(WatchedDevices devices, IDisposable turn) : IDisposable
    {
        public void Dispose()
        {
            Volatile.Write(ref devices._holder, 0);
            turn.Dispose();
        }
    }
}

internal static class Throw
{
    public static void When(bool condition, string message)
    {
        if (condition)
            throw new InvalidOperationException(message);
    }
}
