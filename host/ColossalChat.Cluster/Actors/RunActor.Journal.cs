using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

// The run's journal: one for all attempts, closed before the run's end is told.
internal partial class RunActor
{
    private IActorRef _journal = ActorRefs.Nobody;

    private IActorRef StartJournal()
    {
        if (Definition.Journal is not { } settings || Definition.Plan.Flow != FlowKind.Online)
            return ActorRefs.Nobody;
        Epoch = JournalReader.HighestEpoch(Definition.RunFolder);
        var (folder, needed) = (Definition.RunFolder, Definition.Plan.ScoresNeeded);
        return Context.ActorOf(Props.Create(() => new JournalActor(folder, settings, needed)).WithDispatcher(RunHocon.IoDispatcher), "journal");
    }

    // Whoever reads the run when it has ended finds all of its journal.
    private void Complete(RunEnd end)
    {
        if (_journal.IsNobody())
        {
            End(end);
            return;
        }

        _journal.Tell(new CloseJournal());
        Timers.StartSingleTimer("journal", new JournalClosed(), Definition.Flow.CancelGrace);
        Become(() =>
        {
            Receive<JournalClosed>(_ => End(end));
            Receive<FlowNoted>(noted => Note(noted.Kind, noted.Message));
            ReceiveAny(late => _log.Debug("Dropped after the end: {0}.", late));
        });
    }
}
