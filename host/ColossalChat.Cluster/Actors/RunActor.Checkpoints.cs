using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>The part of a run's supervisor that has checkpoints written, one at a time, while attempts come and go.</summary>
internal partial class RunActor
{
    private void Write(CheckpointDue due)
    {
        _writing = due.State;
        _writer.Tell(new SaveCheckpoint(due.State.Iteration, due.State));
    }

    private void Saved(CheckpointSaved saved)
    {
        var state = _writing;
        (_writing, _checkpoint, _lastSaved) = (null, saved.Folder, saved.Iteration);
        Note("checkpoint", $"Iteration {saved.Iteration} is saved in {saved.Folder}.");
        AfterCheckpoint(saved.Iteration);
        foreach (var remark in saved.Remarks)
            Note("checkpoint", remark);
        if (!IsClosing)
        {
            if (state is not null && !ReferenceEquals(state, _safePoint))
                Attempt.Tell(new SpareState(state));
            Attempt.Tell(saved);
        }
        else if (state is not null && !ReferenceEquals(state, _safePoint))
        {
            state.Release();
        }

        WriteEnded();
    }

    private void WriteFailed(CheckpointFailed failed)
    {
        var state = _writing;
        _writing = null;
        if (Definition.IsSpread)
            Skip(state!, failed);
        else if (!IsClosing)
            Fail(failed.ExitCode, failed.Reason);
        else if (_verdict?.Failure is null)
        {
            // The attempt is being closed to go back, or because it came to its end; neither is possible any more.
            var end = _verdict = Failed(failed.ExitCode, failed.Reason);
            _afterAttempt = () => Complete(end);
        }

        WriteEnded();
    }

    // A run on several nodes goes on: the checkpoint before this one is as good, only longer ago.
    private void Skip(RunState state, CheckpointFailed failed)
    {
        Note("checkpoint", IsClosing ? $"The checkpoint of iteration {state.Iteration} was not finished." : failed.Reason);
        if (IsClosing)
            return;
        Attempt.Tell(new SpareState(state));
        Attempt.Tell(new CheckpointSkipped(_lastSaved, failed.Reason));
    }

    private void WriteEnded()
    {
        var then = _afterWrite;
        _afterWrite = null;
        then?.Invoke();
    }

    // Whoever goes on after an attempt may write himself, and needs to know what is on disk.
    private void WhenWritten(Action then)
    {
        if (_writing is null)
            then();
        else
            _afterWrite = then;
    }
}
