using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Hosts a role that may have state: opens it from an image and captures it into one. Some contracts promise state;
/// of the others a role that implements <see cref="IStatefulRole"/> is treated the same.
/// </summary>
internal abstract class StatefulRoleActor<TRole> : RoleActor<TRole>
    where TRole : class
{
    private static readonly bool s_promisesState = typeof(TRole).IsAssignableTo(typeof(IStatefulRole));
    private readonly long _iteration;
    private readonly RunState? _from;
    private StateImage? _image;
    private IActorRef? _keeper;

    protected StatefulRoleActor(FlowContext flow, string role, Func<Formation, TRole> make, RunState? from, string? party = null)
        : base(flow, role, make, RepairOf(s_promisesState), party)
    {
        (_iteration, _from) = (from?.Iteration ?? 0, from);
        Receive<CaptureState>(Capture);
        Receive<CaptureShard>(CaptureHere);
        Receive<HostRole>(_ => Open());
    }

    protected override void PreStart() => Open();

    private void Open() => Call<object?>(new BatchId(_iteration, 0), "open", (role, _) => Begin(role, _from, isResumed: true), Opened);

    protected override IEnumerable<RoleCall<TRole>> Reopening(long iteration, Func<RunState> state) =>
    [
        new RoleCall<TRole>(
            new BatchId(iteration, 0), "take up its state", (role, _) => Begin(role, state(), isResumed: false), Opened),
        .. AfterRestart(),
    ];

    private RoleFacts Begin(TRole role, RunState? from, bool isResumed)
    {
        Prepare(role);
        Restore(role, from, isResumed);
        return FactsOf(role) with { HasState = role is IStatefulRole };
    }

    private void Opened(object? result, TimeSpan took)
    {
        var facts = (RoleFacts)result!;
        Repair = RepairOf(facts.HasState);
        Iteration.Tell(new RoleOpened(_iteration, Role, facts));
    }

    // A failed call may have spoilt the state; without any, the batch alone is repeated.
    private static Repair RepairOf(bool hasState) => hasState ? Repair.Rewind : Repair.Restart;

    // A resumed run must have all its state; a version of a plugin that has state for the first time begins with none.
    private void Restore(TRole role, RunState? from, bool isResumed)
    {
        if (from is null)
            return;
        if (role is IStatefulRole state)
        {
            if (isResumed || from.Images.ContainsKey(Role))
                state.Restore(StateOf(from));
        }
        else if (from.Images.ContainsKey(Role))
            throw new UserErrorException(
                $"The state of iteration {from.Iteration} has one of {Role}, but the plugin that is {Role} now takes none; "
                + "resume with the stage and roles that wrote it.");
    }

    /// <summary>What a role reads its state from.</summary>
    protected virtual IStateReader StateOf(RunState from) => from.Images.TryGetValue(Role, out var image)
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
            ((IStatefulRole)role).Capture(capture.Image);
            return capture.Image;
        },
        (image, _) => Iteration.Tell(new StateCaptured(capture.Iteration, Role, image)),
        capture.Number);

    // The iteration actor is on another node and this one keeps the copy. One is enough: the next is not asked for before this
    // one is written.
    private void CaptureHere(CaptureShard capture) => Call(
        new BatchId(capture.Iteration, 0),
        "capture its state",
        (role, _) =>
        {
            _image ??= new StateImage(Role, Flow.Definition.RunFolder);
            _image.Begin();
            ((IStatefulRole)role).Capture(_image);
            return _image;
        },
        (image, _) =>
        {
            _keeper ??= Context.ActorOf(Props.Create(() => new ShardActor(Role)).WithDispatcher(RunHocon.IoDispatcher));
            _keeper.Tell(new ShardActor.Keep(capture.Number, image));
            Flow.Post(Iteration, new ShardCaptured(capture.Iteration, capture.Number, Role, image.Tensors, image.Documents, _keeper));
        },
        capture.Number);
}
