using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>The role actors of one attempt, all children of its iteration actor.</summary>
internal sealed class RoleTable
{
    private readonly Dictionary<string, IActorRef> _roles = [];
    private readonly Dictionary<string, IActorRef> _stateful = [];

    private RoleTable()
    {
    }

    public IActorRef Prompts { get; private set; } = ActorRefs.Nobody;

    public IActorRef Rollout { get; private set; } = ActorRefs.Nobody;

    public IReadOnlyList<IActorRef> Scorers { get; private set; } = [];

    public IActorRef Experience { get; private set; } = ActorRefs.Nobody;

    public IActorRef Batches { get; private set; } = ActorRefs.Nobody;

    /// <summary>Every rank of each model.</summary>
    public Dictionary<TrainerId, IActorRef> Trainers { get; } = [];

    /// <summary>Actors whose roles have state, by slot; known once all are opened.</summary>
    public IReadOnlyDictionary<string, IActorRef> Stateful => _stateful;

    /// <summary>Actors that compute with published weights, by slot.</summary>
    public Dictionary<string, IActorRef> Readers { get; } = [];

    /// <summary>Slots of all roles.</summary>
    public IEnumerable<string> Slots => _roles.Keys;

    public static RoleTable Start(IActorContext context, FlowContext flow, RunState? from)
    {
        var (table, plan, roles) = (new RoleTable(), flow.Definition.Plan, flow.Definition.Roles);
        foreach (var (id, make) in roles.Trainers.Where(trainer => plan.ModelsTrained.Contains(trainer.Key.Model)))
            table.Trainers[id] = table._roles[RoleSlots.Of(id)] = context.ActorOf(
                Props.Create(() => new TrainerActor(flow, id, () => make(flow.Epoch, flow.Cancel), from)), RoleSlots.Of(id));

        if (plan.Flow == FlowKind.Offline)
            table.Batches = table._roles[RoleSlots.Batches] = context.ActorOf(
                Props.Create(() => new BatchActor(flow, roles.Batches!, from)), RoleSlots.Batches);
        else
            table.StartOnline(context, flow, from);
        return table;
    }

    /// <summary>A role was opened: only now is it known whether it has state.</summary>
    public void Opened(RoleOpened opened)
    {
        if (opened.Facts.HasState)
            _stateful[opened.Role] = _roles[opened.Role];
    }

    private void StartOnline(IActorContext context, FlowContext flow, RunState? from)
    {
        var roles = flow.Definition.Roles;
        Prompts = _roles[RoleSlots.Prompts] = context.ActorOf(
            Props.Create(() => new PromptActor(flow, roles.Prompts!, from)), RoleSlots.Prompts);
        Rollout = Readers[RoleSlots.Rollout] = _roles[RoleSlots.Rollout] = context.ActorOf(
            Props.Create(() => new RolloutActor(flow, roles.Rollout!, from)), RoleSlots.Rollout);
        Experience = _roles[RoleSlots.Experience] = context.ActorOf(
            Props.Create(() => new ExperienceActor(flow, roles.Experience!, from)), RoleSlots.Experience);
        foreach (var kind in flow.Definition.Plan.ScoresNeeded)
        {
            var make = roles.Scorers[kind];
            Readers[RoleSlots.Of(kind)] = _roles[RoleSlots.Of(kind)] = context.ActorOf(
                Props.Create(() => new ScoringActor(flow, kind, make, from)), RoleSlots.Of(kind));
        }

        Scorers = [.. flow.Definition.Plan.ScoresNeeded.Select(kind => Readers[RoleSlots.Of(kind)])];
    }
}
