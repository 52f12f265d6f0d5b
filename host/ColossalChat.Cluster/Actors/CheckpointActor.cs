using System.Diagnostics;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Writes checkpoints, on a dispatcher of its own because it waits for the disk.</summary>
internal sealed class CheckpointActor : ReceiveActor
{
    private readonly FlowContext _flow;

    public CheckpointActor(FlowContext flow)
    {
        _flow = flow;
        Receive<SaveCheckpoint>(Save);
    }

    private void Save(SaveCheckpoint save)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            var folder = CheckpointWriter.Write(_flow.Definition.RunFolder, save.State, _flow.Definition.KeepCheckpoints);
            Sender.Tell(new CheckpointSaved(save.Iteration, folder, Stopwatch.GetElapsedTime(started)));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            _flow.Run.Tell(new RoleFailed(_flow.Epoch, "checkpoint", new BatchId(save.Iteration, 0),
                $"The checkpoint of iteration {save.Iteration} could not be written: {error.Message} "
                + "Make room or choose another run.folder, then go on with --resume latest.",
                Repair.None, ExitCode.Resource));
        }
    }
}
