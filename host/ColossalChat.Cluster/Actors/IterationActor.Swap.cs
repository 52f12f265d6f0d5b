using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>The part of an attempt's leader that has plugins exchanged between its iterations.</summary>
internal sealed partial class IterationActor
{
    private const string Members = "who takes part";
    private readonly IterationSwaps _swaps = new();
    private SwapMembers _members = new(new Dictionary<string, IActorRef>());

    private void ReceiveSwaps()
    {
        Receive<SwapReady>(_swaps.Take);
        Receive<PublishAgain>(again =>
        {
            var asker = Sender;
            _pools.Withdraw(again.Models);
            Publish(() => asker.Tell(new WeightsSpread(again.Step)));
        });
        Receive<SwapMembers>(members =>
        {
            _members = members;
            _barrier.Arrive(Members);
        });
        Receive<MemberLost>(lost =>
        {
            _members = _members.Without(lost.Node);
            _swaps.Lose(lost);
        });
        Receive<SwapEnded>(ended =>
        {
            if (ended.ExitCode == ExitCode.Ok)
                _flow.Journal.Tell(new ChangeOrigin(_flow.Epoch, _flow.Definition.Plugins?.InUse ?? []));
            _swaps.End(Context, _flow, _saver, ended);
            StayOnPolicyIfStateful();
            Next();
        });
    }

    // Not before the attempt's first iteration: no role has a batch yet that it could be tried on.
    private void SwapIfDue(Action otherwise)
    {
        if (!_swaps.IsDue || _iteration <= (_from?.Iteration ?? 0))
            otherwise();
        else if (_flow.Definition.IsSpread)
            WhenNoneIsAhead(() => _saver.SaveNow(StateNow, SwapIfSaved));
        else
            WhenNoneIsAhead(() => _saver.KeepNow(StateNow, Swap));
    }

    // Other nodes' memory is not at hand: roles that are made anew take up their state from the disk.
    private void SwapIfSaved(RunState? state)
    {
        if (state is not null)
        {
            Swap(state);
            return;
        }

        _swaps.GiveUp(_flow, $"the state after iteration {_iteration}, which it must be tried with and may have to go back to, could not be saved.");
        Next();
    }

    // From the supervisor's answer on no role comes or goes, and those that came before are open by then.
    private void Swap(RunState state)
    {
        _barrier.Await([Members], () => WhenAllAreOpen(() => _swaps.Begin(Context, _flow, _roles, state, _members)));
        _swaps.Announce(_flow);
    }

    private void WhenAllAreOpen(Action then) =>
        _barrier.Await(_roles.Slots.Where(slot => !_roles.Roles.ContainsKey(slot)).Select(OpenAnswer), then, _roles.HostAgain);
}
