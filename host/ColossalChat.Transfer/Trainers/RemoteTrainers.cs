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

    /// <inheritdoc/>
    public override string ToString() => $"rank {Rank} of {Model}";
}

/// <summary>Trainer ranks in other processes.</summary>
public static class RemoteTrainers
{
    /// <summary>Meets a process that serves a rank.</summary>
    /// <param name="links">Where both meet.</param>
    /// <param name="rank">Which rank.</param>
    /// <param name="deadline">Longest wait for the other process.</param>
    /// <param name="ended">Called once the trainer is disposed.</param>
    /// <param name="cancel">Ends the wait, also for the making of the role.</param>
    /// <exception cref="TimeoutException">The other process did not come.</exception>
    public static ITrainerRole Connect(PeerLinks links, RemoteRank rank, TimeSpan deadline, Action ended, CancellationToken cancel = default)
    {
        var line = RoleLine.Meet(links.Until(cancel), rank.LineName, isCaller: true, deadline);
        var trainer = new RemoteTrainer(rank.Model, rank.ToString(), line, ended);
        try
        {
            trainer.Open(cancel);
            return trainer;
        }
        catch
        {
            line.Dispose();
            throw;
        }
    }

    /// <summary>Serves a rank to the process that leads the run, until that one is done with it or dead.</summary>
    /// <param name="links">Where both meet.</param>
    /// <param name="rank">Which rank.</param>
    /// <param name="make">Makes the role when the other process has come; cancelled when that one is gone.</param>
    /// <param name="deadline">Longest wait for the other process.</param>
    public static void Serve(IPeerLinks links, RemoteRank rank, Func<CancellationToken, ITrainerRole> make, TimeSpan deadline)
    {
        var wait = new Deadline(deadline);
        while (true)
        {
            using var line = RoleLine.Meet(links, rank.LineName, isCaller: false, wait.HasPassed ? TimeSpan.Zero : wait.Left);
            if (new TrainerServer(line, make).Run() || wait.HasPassed)
                return;
            // The other process looked for a short time only and left at the moment of meeting. It comes again.
        }
    }
}
