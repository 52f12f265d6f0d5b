using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>The part of a run's supervisor that talks to the user: tells what happens, and hears what is wanted.</summary>
internal partial class RunActor
{
    /// <summary>What is kept of exchanges of plugins.</summary>
    protected RunSwaps Swaps { get; }

    /// <summary>Tells the user.</summary>
    protected void Note(string kind, string message) => Observe(observer => observer.Noted(kind, message));

    private void Observe(Action<IRunObserver> tell)
    {
        try
        {
            Definition.Fence?.Invoke();
            tell(Definition.Observer);
        }
        catch (Exception error)
        {
            _log.Error(error, "The run's observer failed.");
            if (IsClosing || Attempt.IsNobody())
                return;
            if (error is IOException or UnauthorizedAccessException)
                Fail(ExitCode.Resource, $"What happens in the run could not be recorded: {error.Message} "
                    + "Make room or make the run folder writable, then go on with --resume latest.");
            else
                Fail(ExitCode.Failed, $"What happens in the run could not be recorded: {error.Message}");
        }
    }

    private void ReceiveSwaps()
    {
        Receive<SwapReady>(ready => Swaps.Take(ready, Attempt));
        Receive<SwapBegun>(begun => begun.Epoch == Epoch && !IsClosing, _ => Swaps.Begin(Attempt));
        Receive<RecordSwap>(_ => !IsClosing, Swaps.Record);
        Receive<SwapRecorded>(recorded =>
        {
            Swaps.Recorded(recorded);
            AfterSwap();
        });
        Receive<SwapEnded>(ended => ended.Epoch == Epoch, ended =>
        {
            Note("swap", Swaps.End(ended));
            AfterSwap();
        });
        Receive<ExchangeNoted>(noted => Note(noted.Kind, noted.Message));
    }

    /// <summary>An exchange came to its end, or it is known whether it was written down that it did.</summary>
    protected virtual void AfterSwap()
    {
    }

    // Before the next attempt makes its roles.
    private void UndoSwap()
    {
        if (Swaps.GoBack() is { } undone)
            Note("swap", undone);
    }
}
