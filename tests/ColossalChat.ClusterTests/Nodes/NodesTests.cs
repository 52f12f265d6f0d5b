using System.Globalization;
using Akka.Actor;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests.Nodes;

/// <summary>Whole runs on several nodes, which talk through sockets.</summary>
[Trait("Category", "CI")]
public sealed class NodesTests : IAsyncLifetime, IDisposable
{
    private static readonly string[] s_leader = [RunNodes.CoordinatorRole, "reference", "critic", "reward"];
    private readonly NodesOfOneProcess _nodes = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _nodes.DisposeAsync();

    public void Dispose() => _nodes.Dispose();

    [Fact]
    public async Task A_trainer_of_very_many_tensors_is_saved()
    {
        const int tensors = 20_000;
        _nodes.Plan = RunHarness.OnlinePlan with { Iterations = 2 };
        _nodes.CheckpointEvery = 1;
        _nodes.Roles = roles => roles with
        {
            Trainers = roles.Trainers.ToDictionary(trainer => trainer.Key, trainer => trainer.Key.Model != "policy"
                ? trainer.Value
                : (epoch, end) => new WideTrainer(trainer.Value(epoch, end), tensors)),
        };
        _nodes.Start("a", s_leader);
        _nodes.Start("t", RoleSlots.Trainer, RoleSlots.Rollout);

        Assert.Equal(ExitCode.Ok, (await _nodes.OverAsync("t")).ExitCode);

        var image = Checkpoints.Latest(_nodes.Folder).Checkpoint!.State.Images["trainers.policy"];
        Assert.Equal(tensors + 2, image.TensorNames.Count);
        var bytes = new byte[sizeof(int)];
        image.ReadTensor(WideTrainer.NameOf(tensors - 1), bytes);
        Assert.Equal(tensors - 1, BitConverter.ToInt32(bytes));
    }

    [Fact]
    public async Task Another_coordinator_goes_on_although_a_rollout_node_is_gone_for_good()
    {
        _nodes.Plan = RunHarness.OnlinePlan with { Iterations = 6 };
        _nodes.CheckpointEvery = 1;
        _nodes.Cluster = new ClusterOptions { Roles = new Dictionary<string, RoleNodes> { [RoleSlots.Rollout] = new() { Nodes = 2 } } };
        var computed = 0;
        _nodes.World.Before = (role, what, cancel) =>
        {
            if (role != "trainers.policy" || what != "compute 0")
                return;
            var count = Interlocked.Increment(ref computed);
            if (count == 2)
            {
                _nodes["w"].Leave();
                AwaitNotes("Node w is gone.", 1);
            }
            else if (count == 4)
            {
                _nodes["a"].Down();
                AwaitNotes("Roles are placed", 2);
            }
        };
        _nodes.Start("a", s_leader);
        _nodes.Start("b", s_leader);
        _nodes.Start("t", RoleSlots.Trainer, RoleSlots.Rollout);
        _nodes.Start("w", RoleSlots.Rollout);

        var over = await _nodes.OverAsync("t");

        Assert.Equal((ExitCode.Ok, "Ended after iteration 6."), (over.ExitCode, over.Message));
        Assert.Equal(2, Notes("Roles are placed"));
    }

    [Fact]
    public async Task A_node_tells_of_a_free_port_each_time_that_it_is_asked()
    {
        _nodes.Start("t", RoleSlots.Trainer);
        var ports = new List<int>();
        for (var asked = 0; asked < 2; asked++)
            ports.Add((await _nodes["t"].Actor.Ask<NodeDescribed>(new DescribeNode(), TimeSpan.FromSeconds(30))).Card.MeetPort);
        Assert.NotEqual(ports[0], ports[1]);
    }

    [Theory]
    [InlineData(typeof(IOException), ExitCode.Resource)]
    [InlineData(typeof(UnauthorizedAccessException), ExitCode.Resource)]
    [InlineData(typeof(System.Text.Json.JsonException), ExitCode.Failed)]
    public async Task A_coordinator_that_cannot_open_the_run_says_so_to_all_nodes(Type error, ExitCode exitCode)
    {
        _nodes.Open = () => throw (Exception)Activator.CreateInstance(error, "the storage is away")!;
        _nodes.Start("a", s_leader);
        var over = await _nodes.OverAsync("a");
        Assert.Equal(exitCode, over.ExitCode);
        Assert.Contains("the storage is away", over.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_coordinator_that_finds_nonsense_in_the_run_folder_says_so_to_all_nodes()
    {
        await File.WriteAllTextAsync(Path.Combine(_nodes.Folder, "coordinator.json"), "{ half");
        _nodes.Start("a", s_leader);
        Assert.Contains("coordinator.json", (await _nodes.OverAsync("a")).Message, StringComparison.Ordinal);
    }

    private int Notes(string part) => _nodes.Notes.Count(note => note.Message.Contains(part, StringComparison.Ordinal));

    private void AwaitNotes(string part, int count) => Assert.True(SpinWait.SpinUntil(() => Notes(part) == count, TimeSpan.FromSeconds(50)), $"'{part}' was not noted {count} times");

    private sealed class WideTrainer(ITrainerRole inner, int tensors) : TrainerAround(inner)
    {
        public static string NameOf(int tensor) => string.Create(CultureInfo.InvariantCulture, $"master/model.layers.{tensor}.self_attn.q_proj.weight@0");

        public override void Capture(IStateWriter writer)
        {
            Inner.Capture(writer);
            for (var tensor = 0; tensor < tensors; tensor++)
                writer.WriteTensor(NameOf(tensor), ElementType.Int32, [1], BitConverter.GetBytes(tensor));
        }
    }
}
