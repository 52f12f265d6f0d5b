using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Starts runs.</summary>
public static class Run
{
    /// <summary>
    /// Carries out one stage. The actor system must have <see cref="RunHocon.Dispatchers"/> in its configuration; several
    /// runs may follow one another in it.
    /// </summary>
    /// <param name="system">Where the actors live.</param>
    /// <param name="definition">Plan, roles and settings.</param>
    /// <param name="stop">Ends the run after the running iteration and a checkpoint, with <see cref="ExitCode.Interrupted"/>.</param>
    /// <returns>How it ended; by then all roles are disposed. A run that fails is an answer, not an exception.</returns>
    /// <exception cref="UserErrorException">The plan needs a role that the definition does not have.</exception>
    public static async Task<RunEnd> StartAsync(ActorSystem system, RunDefinition definition, CancellationToken stop)
    {
        var missing = MissingRoles(definition).ToArray();
        if (missing.Length > 0)
            throw new UserErrorException($"The stage needs roles that are not there: {string.Join(", ", missing)}. Name them in section roles.");

        var end = new TaskCompletionSource<RunEnd>(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = system.ActorOf(
            Props.Create(() => new RunActor(definition, end, stop)).WithDispatcher(RunHocon.IoDispatcher), $"run-{Guid.NewGuid():N}");
        return await end.Task.ConfigureAwait(false);
    }

    private static IEnumerable<string> MissingRoles(RunDefinition definition)
    {
        var (plan, roles) = (definition.Plan, definition.Roles);
        if (plan.Flow == FlowKind.Offline)
        {
            if (roles.Batches is null)
                yield return RoleSlots.Batches;
        }
        else
        {
            if (roles.Prompts is null)
                yield return RoleSlots.Prompts;
            if (roles.Rollout is null)
                yield return RoleSlots.Rollout;
            if (roles.Experience is null)
                yield return RoleSlots.Experience;
            foreach (var kind in plan.ScoresNeeded.Where(kind => !roles.Scorers.ContainsKey(kind)))
                yield return RoleSlots.Of(kind);
        }

        var ranks = roles.Trainers.Keys.Select(trainer => trainer.Rank + 1).DefaultIfEmpty(1).Max();
        foreach (var trainer in plan.ModelsTrained.SelectMany(model => Enumerable.Range(0, ranks), (model, rank) => new TrainerId(model, rank)))
            if (!roles.Trainers.ContainsKey(trainer))
                yield return RoleSlots.Of(trainer);
    }
}
