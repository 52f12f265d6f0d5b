using System.Diagnostics;

namespace ColossalChat.Cluster;

/// <summary>
/// Keeps a run's state between its iterations: in memory, to go back to, and on the disk. Training goes on while a
/// checkpoint is written.
/// </summary>
internal sealed class StateSaver(FlowContext flow, AnswerBarrier barrier, StateCopies copies, ScoreWatch? score, long lastSaved)
{
    private const string Written = "the last checkpoint is written";
    private const string Free = "a copy is free";
    private SafePoints _safePoints = new(flow.Definition.Flow.SafePointShare, LastCost: null);
    private long _lastSafePoint = Stopwatch.GetTimestamp();
    private double _saveSeconds;
    private double _waitSeconds;
    private RunState? _written;
    private string? _folder;
    private bool _isWriting;

    public StateCopies Copies { get; } = copies;

    /// <summary>Iteration of the newest checkpoint, written or being written.</summary>
    public long LastSaved { get; private set; } = lastSaved;

    /// <summary>Copies the state when that is due.</summary>
    /// <param name="state">The run's without its roles'.</param>
    /// <param name="then">What follows.</param>
    public void KeepSafePoint(RunState state, Action then)
    {
        if (!Copies.HasRoom || !_safePoints.IsDue(Stopwatch.GetElapsedTime(_lastSafePoint)))
            then();
        else if (!flow.Definition.IsSpread)
            Capture(state, copy => Keep(copy, then));
        else if (_isWriting)
            then();
        else
            Save(state, then); // A node that is lost takes its memory with it: only the disk is safe.
    }

    /// <summary>Has the state written; goes on when the copy is made. A disk that is slower than the training holds it up here.</summary>
    /// <param name="state">The run's without its roles'.</param>
    /// <param name="then">What follows.</param>
    public void Save(RunState state, Action then)
    {
        var started = Stopwatch.GetTimestamp();
        var waits = _isWriting;
        WhenWritten(() =>
        {
            if (waits)
                _waitSeconds += Stopwatch.GetElapsedTime(started).TotalSeconds;
            WhenFree(() => Capture(state, copy => Write(copy, then)));
        });
    }

    /// <summary>Copies the state for a change that may have to be undone, whether a copy is due or not.</summary>
    /// <param name="state">The run's without its roles'.</param>
    /// <param name="then">What follows, with the copy.</param>
    public void KeepNow(RunState state, Action<RunState> then) =>
        WhenWritten(() => WhenFree(() => Capture(state, copy => Keep(copy, () => then(copy)))));

    /// <summary>Has the state of an iteration on the disk, for a change that may have to be undone and that other nodes take part in.</summary>
    /// <param name="state">The run's without its roles'.</param>
    /// <param name="then">What follows, with the state and its folder; with null when it could not be written.</param>
    public void SaveNow(RunState state, Action<RunState?> then)
    {
        void Written() => WhenWritten(() => then(_written is { } written && written.Iteration == state.Iteration && _folder is { } folder ? written with { Folder = folder } : null));
        if (LastSaved < state.Iteration)
            Save(state, Written);
        else
            Written();
    }

    /// <summary>The change is made, or undone: without safe points nobody else has the copy.</summary>
    public void EndKeeping(RunState copy)
    {
        if (_safePoints.Share <= 0 && !flow.Definition.IsSpread)
            Copies.SetFree(copy);
    }

    public void WhenWritten(Action then)
    {
        if (_isWriting)
            barrier.Await([Written], then);
        else
            then();
    }

    public void Saved(CheckpointSaved saved)
    {
        _saveSeconds += saved.Took.TotalSeconds;
        _folder = saved.Folder;
        EndWriting();
    }

    /// <summary>A checkpoint could not be written, and the one before must do; not at the end of a run.</summary>
    public void Skipped(CheckpointSkipped skipped, bool isLast)
    {
        LastSaved = skipped.LastSaved;
        if (isLast)
            flow.Run.Tell(new RoleFailed(flow.Epoch, "checkpoint", default, skipped.Reason, Repair.None, Contracts.ExitCode.Resource), flow.Iteration);
        else
            EndWriting();
    }

    /// <summary>A copy that nobody needs any more came back.</summary>
    public void SetFree(SpareState spare)
    {
        Copies.SetFree(spare.State);
        barrier.Arrive(Free);
    }

    /// <summary>What saving took since the last iteration.</summary>
    public void AddTimesTo(IterationNumbers numbers)
    {
        if (_saveSeconds > 0)
            numbers.Add("timing/save_s", _saveSeconds);
        if (_waitSeconds > 0)
            numbers.Add("timing/save_wait_s", _waitSeconds);
        (_saveSeconds, _waitSeconds) = (0, 0);
    }

    // The supervisor may not have come to give the older copy back: short iterations are quicker than it.
    private void WhenFree(Action then)
    {
        if (Copies.HasRoom)
            then();
        else
            barrier.Await([Free], then);
    }

    private void Capture(RunState state, Action<RunState> then)
    {
        var started = Stopwatch.GetTimestamp();
        var copy = Copies.Begin(state);
        barrier.Await(
            Copies.Answers(state.Iteration),
            () =>
            {
                _safePoints = _safePoints.Taken(Stopwatch.GetElapsedTime(started));
                then(copy);
            },
            Copies.Ask);
    }

    private void Write(RunState copy, Action then)
    {
        if (!copy.OwesMeasurement && score?.Remark(copy.Iteration) is { } remark)
            flow.Note("checkpoint", remark);
        (LastSaved, _isWriting, _written, _folder) = (copy.Iteration, true, copy, null);
        flow.Run.Tell(new CheckpointDue(flow.Epoch, copy), flow.Iteration);
        Keep(copy, then);
    }

    private void Keep(RunState copy, Action then)
    {
        _lastSafePoint = Stopwatch.GetTimestamp();
        if (_safePoints.Share > 0 && !flow.Definition.IsSpread)
            flow.Run.Tell(new SafePointTaken(flow.Epoch, copy), flow.Iteration);
        then();
    }

    private void EndWriting()
    {
        _isWriting = false;
        barrier.Arrive(Written);
    }
}
