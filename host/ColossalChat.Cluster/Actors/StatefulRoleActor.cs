using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Hosts a role with state: opens it from an image and captures it into one.</summary>
internal abstract class StatefulRoleActor<TRole> : RoleActor<TRole>
    where TRole : class, IStatefulRole
{
    private readonly long _iteration;
    private readonly RunState? _from;

    protected StatefulRoleActor(FlowContext flow, string role, Func<TRole> make, RunState? from)
        : base(flow, role, make, Repair.Rewind)
    {
        (_iteration, _from) = (from?.Iteration ?? 0, from);
        Receive<CaptureState>(Capture);
    }

    protected override void PreStart() => Call(
        new BatchId(_iteration, 0),
        "open",
        (role, _) =>
        {
            Prepare(role);
            if (_from is not null)
                role.Restore(ImageOf(_from));
            return FactsOf(role);
        },
        (facts, _) => Iteration.Tell(new RoleOpened(_iteration, Role, facts)));

    private StateImage ImageOf(RunState from) => from.Images.TryGetValue(Role, out var image)
        ? image
        : throw new UserErrorException(
            $"The state of iteration {from.Iteration} has none of {Role}, only of {string.Join(", ", from.Images.Keys)}; "
            + "resume with the stage and roles that wrote it.");

    /// <summary>What a new role must know before its state; called on the role's thread.</summary>
    protected virtual void Prepare(TRole role)
    {
    }

    /// <summary>Called on the role's thread.</summary>
    protected virtual RoleFacts FactsOf(TRole role) => new();

    private void Capture(CaptureState capture) => Call(
        new BatchId(capture.Iteration, 0),
        "capture its state",
        (role, _) =>
        {
            capture.Image.Begin();
            role.Capture(capture.Image);
            return capture.Image;
        },
        (image, _) => Iteration.Tell(new StateCaptured(capture.Iteration, Role, image)));
}
