using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests.Nodes;

/// <summary>What a coordinator that was replaced does not touch any more.</summary>
[Trait("Category", "CI")]
public sealed class FenceTests : IAsyncLifetime, IDisposable
{
    private readonly SpreadRun _run = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _run.DisposeAsync();

    public void Dispose() => _run.Dispose();

    [Fact]
    public void A_checkpoint_that_is_written_when_another_leads_never_gets_its_name_and_removes_none()
    {
        CheckpointWriter.Write(_run.Folder, StateOf(1, epoch: 1), keep: 3);
        var asked = 0;
        void Fence()
        {
            if (Interlocked.Increment(ref asked) == 1)
                throw new UserErrorException("Node b leads the run since attempt 2.");
        }

        Assert.Throws<UserErrorException>(() => CheckpointWriter.Write(_run.Folder, StateOf(2, epoch: 1), keep: 1, fence: Fence));

        Assert.Equal([1], Checkpoints.List(_run.Folder).Select(checkpoint => checkpoint.Iteration));
    }

    [Fact]
    public void What_a_later_coordinator_is_writing_is_left_alone_and_what_an_older_one_left_goes()
    {
        var folder = Path.Combine(_run.Folder, "checkpoints");
        var (later, older) = (Path.Combine(folder, ".step-00000003.5.unfinished"), Path.Combine(folder, ".step-00000003.2.unfinished"));
        Directory.CreateDirectory(later);
        Directory.CreateDirectory(older);

        CheckpointWriter.Write(_run.Folder, StateOf(3, epoch: 4), keep: 1);
        Assert.Equal((true, false), (Directory.Exists(later), Directory.Exists(older)));
    }

    [Fact]
    public async Task A_coordinator_that_was_replaced_ends_its_run_and_leaves_status_and_drop_box_to_the_other()
    {
        _run.Start();
        await _run.NoteAsync("Waiting for nodes");
        var status = new ClusterStatusFile(_run.Folder);
        Assert.True(SpinWait.SpinUntil(() => status.Read() is { Coordinator: "a" }, TimeSpan.FromSeconds(30)));

        new CoordinatorTerm(_run.Folder, "b").Lead();
        status.Write(new ClusterStatus(DateTimeOffset.UtcNow, "b", 2, 0, "", []));
        RunControl.Post(_run.Folder, new ControlRequest(RunControl.Stop, new Dictionary<string, string>()));

        Assert.Contains("Node b leads the run since attempt 2", (await _run.Ended).Failure, StringComparison.Ordinal);
        await _run.GoneAsync();
        Assert.Equal("b", status.Read()!.Coordinator);
        Assert.Single(RunControl.Pending(_run.Folder));
    }

    private static RunState StateOf(long iteration, long epoch) => new(iteration, epoch, default, new Dictionary<string, StateImage>());
}
