using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit.Xunit2;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>The desk that takes wishes to exchange plugins, of a run on several nodes: what goes wrong ends one wish and not the desk.</summary>
[Trait("Category", "CI")]
public sealed class SwapDeskTests : TestKit
{
    private readonly string _folder = Directory.CreateTempSubdirectory("colossalchat-desk-").FullName;
    private readonly FakeExchange _exchange = new("reward");
    private readonly IActorRef _desk;
    private bool _isReplaced;

    public SwapDeskTests()
        : base(ConfigurationFactory.ParseString(WireHocon.Text).WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers + "\nakka.loglevel = ERROR\nakka.stdout-loglevel = OFF")))
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
            Fence = () => Fail(_isReplaced, typeof(UserErrorException)),
            Parcels = new ParcelPost(Sys, new InProcessBlobLane()),
        };
        var (test, desk) = (TestActor, Props.Create(() => new SwapDesk(definition)));
        _desk = Sys.ActorOf(Props.Create(() => new RunChild(test, desk)));
        _desk.Tell(new NodesKnown(new Dictionary<string, IActorRef> { ["a"] = TestActor }));
    }

    [Theory]
    [InlineData(typeof(IOException))]
    [InlineData(typeof(ArgumentException))]
    public void A_folder_that_cannot_be_copied_is_refused_and_the_next_wish_is_carried_out(Type failure)
    {
        _exchange.Before = call => Fail(call == "copy", failure);
        var refused = Ask("/gone");

        Assert.Contains("was refused", ExpectMsg<ExchangeNoted>().Message, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Invalid, Answer(refused).ExitCode);

        _exchange.Before = _ => { };
        Assert.Equal(Ask("/fake"), ExpectMsg<PrepareSwap>().Request.Id);
    }

    [Fact]
    public void A_watched_folder_that_cannot_be_copied_does_not_hold_up_the_next_wish()
    {
        _exchange.Before = call => Fail(call == "copy", typeof(IOException));
        _exchange.Wish("watched");
        ExpectMsg<ExchangeNoted>();

        _exchange.Before = _ => { };
        Assert.Equal(Ask("/fake"), ExpectMsg<PrepareSwap>().Request.Id);
    }

    [Theory]
    [InlineData(typeof(IOException))]
    [InlineData(typeof(InvalidOperationException))]
    public void What_cannot_be_written_down_for_whatever_reason_is_told_to_those_who_wait(Type failure)
    {
        var id = Prepared();
        _exchange.Before = call => Fail(call == "record", failure);

        _desk.Tell(new RecordSwap(id, 7, 3));

        Assert.All(ReceiveN(2), told => Assert.Contains("could not be written down", Assert.IsType<SwapRecorded>(told).Error, StringComparison.Ordinal));
    }

    [Fact]
    public void What_was_written_down_before_the_run_ended_is_told_as_done()
    {
        var (exchanged, waiting) = (Prepared(), Ask("/other"));
        _desk.Tell(new RecordSwap(exchanged, 7, 3));
        Assert.All(ReceiveN(2), told => Assert.Equal("", Assert.IsType<SwapRecorded>(told).Error));

        Sys.Stop(_desk);

        Assert.Equal(ExitCode.Ok, Answer(exchanged).ExitCode);
        Assert.Equal(ExitCode.NotFound, Answer(waiting).ExitCode);
    }

    [Fact]
    public void One_that_was_replaced_answers_nothing_when_it_ends()
    {
        var id = Prepared();
        _isReplaced = true;
        Watch(_desk);

        Sys.Stop(_desk);

        ExpectTerminated(_desk);
        Assert.Null(RunControl.TakeAnswer(_folder, id));
        Assert.Single(RunControl.Pending(_folder));
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        Directory.Delete(_folder, recursive: true);
    }

    private static void Fail(bool isTime, Type failure)
    {
        if (isTime)
            throw (Exception)Activator.CreateInstance(failure, "It fails.")!;
    }

    private string Ask(string folder)
    {
        var id = RunControl.Post(_folder, new ControlRequest(RunControl.Swap, new Dictionary<string, string>()));
        _desk.Tell(new SwapAsked(new SwapRequest(id, "Fake", folder)));
        return id;
    }

    // All nodes have loaded what was asked for.
    private string Prepared()
    {
        var id = Ask("/fake");
        ExpectMsg<PrepareSwap>();
        _desk.Tell(new SwapPrepared(id, PrepareSwap.OfDesk, "a", new SwapOffer(id, "Fake", "1", "2", ""), ""));
        FishForMessage(message => message is SwapReady);
        return id;
    }

    private ControlAnswer Answer(string id)
    {
        ControlAnswer? answer = null;
        AwaitCondition(() => (answer = RunControl.TakeAnswer(_folder, id)) is not null);
        return answer!;
    }
}
