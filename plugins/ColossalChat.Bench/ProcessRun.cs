using System.Diagnostics;

namespace ColossalChat.Bench;

/// <summary>How a process ended, and what it said.</summary>
/// <param name="ExitCode">Null when it was killed because its time was over.</param>
/// <param name="Output">On standard output.</param>
/// <param name="Error">On standard error.</param>
internal sealed record ProcessEnd(int? ExitCode, string Output, string Error)
{
    /// <summary>True when it ended by itself and found nothing wrong.</summary>
    public bool IsGood => ExitCode == 0;

    /// <summary>What went wrong, for a message.</summary>
    /// <param name="limit">The time it had.</param>
    public string Problem(TimeSpan limit)
    {
        var end = ExitCode is { } code ? $"exit code {code}" : $"it did not end within {limit.TotalSeconds:0.#} s";
        var said = string.Join('\n', new[] { Error.Trim(), Output.Trim() }.Where(text => text.Length > 0));
        return said.Length > 0 ? $"{end}:\n{said}" : end;
    }
}

/// <summary>Runs a process to its end, but no longer than it may.</summary>
internal static class ProcessRun
{
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(2);

    /// <summary>Starts it and waits. It is killed with all it started when the limit passes or the caller gives up.</summary>
    /// <param name="start">What; both of its outputs are redirected here.</param>
    /// <param name="limit">Longest time.</param>
    /// <param name="cancel">The caller gives up.</param>
    /// <exception cref="OperationCanceledException">The caller gave up; a limit that passed is told by the answer.</exception>
    public static async Task<ProcessEnd> ToEndAsync(ProcessStartInfo start, TimeSpan limit, CancellationToken cancel)
    {
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        using var bounded = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        bounded.CancelAfter(limit);
        using var process = Process.Start(start)!;

        // Both at once: a process that fills the pipe nobody reads would wait for us, and we for it.
        var (output, error) = (process.StandardOutput.ReadToEndAsync(CancellationToken.None), process.StandardError.ReadToEndAsync(CancellationToken.None));
        try
        {
            await process.WaitForExitAsync(bounded.Token);

            // What it started may hold the pipes open after it.
            await Task.WhenAll(output, error).WaitAsync(bounded.Token);
            return new ProcessEnd(process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancel.ThrowIfCancellationRequested();
            return new ProcessEnd(null, await SoFarAsync(output), await SoFarAsync(error));
        }
    }

    // A pipe ends soon after those who write to it, unless somebody outlived the kill.
    private static async Task<string> SoFarAsync(Task<string> text) =>
        await Task.WhenAny(text, Task.Delay(s_grace)) == text ? await text : "";
}
