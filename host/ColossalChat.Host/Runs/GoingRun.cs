using System.Diagnostics;
using ColossalChat.Cluster;
using ColossalChat.Contracts;

namespace ColossalChat.Host.Runs;

/// <summary>A run as somebody sees it who only sees its folder: whether it is going on, and what it answers.</summary>
/// <param name="run">Folder of the run.</param>
internal sealed class GoingRun(RunFolder run)
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    // A coordinator writes its status every second.
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(3);

    // From the loss of one coordinator to the first status of the next.
    private static readonly TimeSpan s_succession = TimeSpan.FromMinutes(1);

    private readonly ClusterStatusFile _status = new(run.Path);

    /// <summary>How the nodes of the run are.</summary>
    /// <returns>The newest status, null when no coordinator ever wrote one; and whether one is writing now.</returns>
    public async Task<(ClusterStatus? Status, bool IsLed)> StatusAsync(CancellationToken cancel)
    {
        // A time of another clock proves nothing; that it changes does.
        if (_status.Read() is not { } first)
            return (null, false);
        for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < s_silence; await Task.Delay(s_look, cancel).ConfigureAwait(false))
            if (_status.Read() is { } next && next.Time != first.Time)
                return (next, true);
        return (first, false);
    }

    /// <summary>True while one process holds the run, or a coordinator leads its nodes.</summary>
    public async Task<bool> IsGoingOnAsync(CancellationToken cancel) => run.IsHeld() || (await StatusAsync(cancel).ConfigureAwait(false)).IsLed;

    /// <summary>Asks it for something, and waits for what it says.</summary>
    /// <param name="request">What is wanted of it.</param>
    /// <param name="asked">Called once it is in the run's drop box.</param>
    /// <param name="notDone">What did not happen when it ends without an answer, a part of a sentence.</param>
    /// <param name="cancel">Takes the request back.</param>
    /// <exception cref="UserErrorException">It ended first.</exception>
    public async Task<ControlAnswer> AskAsync(ControlRequest request, Func<Task> asked, string notDone, CancellationToken cancel)
    {
        var id = RunControl.Post(run.Path, request);
        try
        {
            await asked().ConfigureAwait(false);
            var (last, changed) = (_status.Read()?.Time, Stopwatch.GetTimestamp());
            while (true)
            {
                // Before the answer: a run that ended in between has answered.
                var isHeld = run.IsHeld();
                if (_status.Read()?.Time is { } time && time != last)
                    (last, changed) = (time, Stopwatch.GetTimestamp());
                if (RunControl.TakeAnswer(run.Path, id) is { } answer)
                    return answer;
                if (!isHeld && (last is null || Stopwatch.GetElapsedTime(changed) > s_succession))
                    throw new UserErrorException($"The run in {run.Path} ended and did not answer; {notDone}.", ExitCode.NotFound);
                await Task.Delay(s_look, cancel).ConfigureAwait(false);
            }
        }
        finally
        {
            RunControl.Withdraw(run.Path, id);
        }
    }
}
