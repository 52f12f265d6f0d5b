using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>One rank of a trained model, as caller and callee in two processes know it.</summary>
/// <param name="Model">Name of the model.</param>
/// <param name="Rank">Rank in the model's group.</param>
/// <param name="Attempt">Attempt of the run; ranks of different attempts never meet.</param>
public sealed record RemoteRank(string Model, int Rank, long Attempt)
{
    /// <summary>Where both ends meet.</summary>
    internal string LineName => $"{Model}@{Rank}.{Attempt}.calls";

    /// <summary>Where both ends meet for the writing of shards.</summary>
    internal string ShardLineName => $"{Model}@{Rank}.{Attempt}.shards";

    /// <inheritdoc/>
    public override string ToString() => $"rank {Rank} of {Model}";
}

/// <summary>Trainer ranks in other processes.</summary>
public static class RemoteTrainers
{
    // Both ends are at it when the role is made; only a very busy machine takes long.
    private static readonly TimeSpan s_shardLine = TimeSpan.FromSeconds(30);

    /// <summary>Meets a process that serves a rank.</summary>
    /// <param name="links">Where both meet.</param>
    /// <param name="rank">Which rank.</param>
    /// <param name="folder">Takes of the rank's states what is too much for memory, in files without a name.</param>
    /// <param name="deadline">Longest wait for the other process.</param>
    /// <param name="ended">Called once the trainer is disposed and the other process writes nothing more.</param>
    /// <param name="cancel">Ends the wait, also for the making of the role.</param>
    /// <exception cref="TimeoutException">The other process did not come.</exception>
    public static ITrainerRole Connect(
        PeerLinks links, RemoteRank rank, string folder, TimeSpan deadline, Action ended, CancellationToken cancel = default)
    {
        var met = links.Until(cancel);
        var calls = new CallLine(RoleLine.Meet(met, rank.LineName, isCaller: true, deadline), rank.ToString());
        try
        {
            // Makes the role, which meets the other ranks of its group.
            calls.Ask(TrainerCall.Open, _ => { }, _ => true, cancel);
            var shards = MeetForShards(met, rank);
            return new RemoteTrainer(rank.Model, calls, new ShardLine(shards, rank.ToString(), ended), folder);
        }
        catch
        {
            calls.Dispose();
            throw;
        }
    }

    // The process is there: it must not be looked for again.
    private static RoleLine MeetForShards(IPeerLinks links, RemoteRank rank)
    {
        try
        {
            return RoleLine.Meet(links, rank.ShardLineName, isCaller: true, s_shardLine);
        }
        catch (TimeoutException error)
        {
            throw new IOException($"{rank} did not open the line for its shards within {s_shardLine.TotalSeconds} s.", error);
        }
    }

    /// <summary>Serves a rank to the process that leads the run, until that one is done with it or dead.</summary>
    /// <param name="links">Where both meet.</param>
    /// <param name="rank">Which rank.</param>
    /// <param name="make">Makes the role when the other process has come; cancelled when that one is gone.</param>
    /// <param name="keeping">How copies of its state are kept.</param>
    /// <param name="deadline">Longest wait for the other process.</param>
    public static void Serve(PeerLinks links, RemoteRank rank, Func<CancellationToken, ITrainerRole> make, StateKeeping keeping, TimeSpan deadline)
    {
        var wait = new Deadline(deadline);
        using var states = new CapturedStates(keeping);
        using var shards = new ShardServer(links, rank, states, keeping);
        while (true)
        {
            using var line = RoleLine.Meet(links, rank.LineName, isCaller: false, wait.HasPassed ? TimeSpan.Zero : wait.Left);
            if (new TrainerServer(line, make, states).Run() || wait.HasPassed)
                return;
            // The other process looked for a short time only and left at the moment of meeting. It comes again.
        }
    }
}
