using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>The part of an attempt's leader that has plugins exchanged between its iterations.</summary>
internal sealed partial class IterationActor
{
    private readonly IterationSwaps _swaps = new();

    private void ReceiveSwaps()
    {
        Receive<SwapReady>(_swaps.Take);
        Receive<PublishAgain>(again =>
        {
            var asker = Sender;
            Publish(() => asker.Tell(new WeightsSpread(again.Step)));
        });
        Receive<SwapEnded>(ended =>
        {
            if (ended.ExitCode == ExitCode.Ok)
                _flow.Journal.Tell(new ChangeOrigin(_flow.Epoch, ended.Id));
            _swaps.End(Context, Sender, _flow, _saver, ended);
            Next();
        });
    }

    // Not before the attempt's first iteration: no role has a batch yet that it could be tried on.
    private void SwapIfDue(Action otherwise)
    {
        if (_swaps.IsDue && _iteration > (_from?.Iteration ?? 0))
            WhenNoneIsAhead(() => _saver.KeepNow(StateNow, state => _swaps.Begin(Context, _flow, _roles, state)));
        else
            otherwise();
    }
}
