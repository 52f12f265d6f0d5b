using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit.Xunit2;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>The drop box of a run on several nodes: whoever asks is answered, and what is said is so.</summary>
[Trait("Category", "CI")]
public sealed class ControlTests : TestKit
{
    private readonly string _folder = Directory.CreateTempSubdirectory("colossalchat-control-").FullName;
    private readonly FakeExchange _exchange = new("reward");

    public ControlTests()
        : base(ConfigurationFactory.ParseString(WireHocon.Text).WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers + "\nakka.loglevel = ERROR\nakka.stdout-loglevel = OFF")))
    {
    }

    [Fact]
    public void A_node_whose_leave_the_run_does_not_decide_on_is_not_waited_for()
    {
        Start();
        var id = Post(RunControl.Leave, (RunControl.Node, "b"));
        ExpectMsg<NodeAskedToLeave>();

        LastSender.Tell(new Status.Failure(new InvalidOperationException("It is busy.")));

        var answer = Answer(id);
        Assert.Equal(ExitCode.Failed, answer.ExitCode);
        Assert.Contains("(It is busy)", answer.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_leave_that_was_not_decided_on_when_the_run_ended_is_answered()
    {
        var control = Start();
        var id = Post(RunControl.Leave, (RunControl.Node, "b"));
        ExpectMsg<NodeAskedToLeave>();

        Sys.Stop(control);

        Assert.Equal(ExitCode.NotFound, Answer(id).ExitCode);
    }

    [Fact]
    public void What_another_coordinator_wrote_down_before_it_answered_is_told_as_done()
    {
        _exchange.Record.Versions = [new PluginCopy("Fake", "2", "hash 2", "/fake")];
        var done = Post(RunControl.Swap, (RunControl.Plugin, "Fake"), (RunControl.Folder, "/fake"));
        var other = Post(RunControl.Swap, (RunControl.Plugin, "Fake"), (RunControl.Folder, "/other"));

        Start();

        Assert.Equal(ExitCode.Ok, Answer(done).ExitCode);
        Assert.Equal(ExitCode.NotFound, Answer(other).ExitCode);
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        Directory.Delete(_folder, recursive: true);
    }

    private IActorRef Start()
    {
        var definition = new RunDefinition
        {
            Plan = RunHarness.OnlinePlan,
            Roles = new FakeWorld().OnlineRoles("policy"),
            Devices = new DeviceLeases(),
            RunFolder = _folder,
            Observer = new SilentObserver(),
            Plugins = _exchange,
            ControlEvery = TimeSpan.FromMilliseconds(10),
            Parcels = new ParcelPost(Sys, new InProcessBlobLane()),
        };
        var (test, begun) = (TestActor, Post("begun"));
        var control = Props.Create(() => new ControlActor(definition, test));
        var run = Sys.ActorOf(Props.Create(() => new RunChild(test, control)));

        // What is asked from here on is asked of a run that goes on.
        Answer(begun);
        return run;
    }

    private string Post(string kind, params (string Name, string Value)[] arguments) =>
        RunControl.Post(_folder, new ControlRequest(kind, arguments.ToDictionary(argument => argument.Name, argument => argument.Value)));

    private ControlAnswer Answer(string id)
    {
        ControlAnswer? answer = null;
        AwaitCondition(() => (answer = RunControl.TakeAnswer(_folder, id)) is not null);
        return answer!;
    }
}
