using System.Diagnostics;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Writes checkpoints while training goes on, on a dispatcher of its own because it waits for the disk. There is one for
/// all attempts of a run, so that two of them never write at once.
/// </summary>
internal sealed class CheckpointActor : ReceiveActor
{
    private readonly RunDefinition _definition;

    public CheckpointActor(RunDefinition definition)
    {
        _definition = definition;
        Receive<SaveCheckpoint>(Save);
    }

    private void Save(SaveCheckpoint save)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            var remarks = new List<string>();
            var folder = _definition.Write(save.State, remarks.Add);
            CheckpointWatch.Ended(_definition.RunId, save.State, Stopwatch.GetElapsedTime(started));
            Sender.Tell(new CheckpointSaved(save.Iteration, folder, Stopwatch.GetElapsedTime(started)) { Remarks = remarks });
        }
        catch (Exception error)
        {
            CheckpointWatch.Ended(_definition.RunId, save.State, Stopwatch.GetElapsedTime(started), error.Message);

            // Whoever waits for the answer must get one, whatever went wrong.
            Sender.Tell(new CheckpointFailed(
                error is IOException or UnauthorizedAccessException ? ExitCode.Resource : ExitCode.Failed,
                $"The checkpoint of iteration {save.Iteration} could not be written: {error.Message.TrimEnd('.')}. "
                + "Make room or choose another run.folder, then go on with --resume latest."));
        }
    }
}
