using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Who leads a run and which attempt it is, in the run folder that all candidates share. A coordinator that was paused and
/// replaced finds a higher number there and writes nothing more.
/// </summary>
/// <param name="runFolder">Folder of the run.</param>
/// <param name="node">Name of this node.</param>
public sealed class CoordinatorTerm(string runFolder, string node)
{
    private const string FileName = "coordinator.json";
    private long _epoch = -1;
    private long _seen = long.MaxValue;

    private string File => Path.Combine(runFolder, FileName);

    /// <summary>The last attempt that anybody began; 0 when there was none.</summary>
    public long Last => _seen = Read()?.Epoch ?? 0;

    /// <summary>How the run ended, as far as it concerns a process: one that was started after a failure goes on with the run.</summary>
    /// <param name="began">When the process began.</param>
    /// <returns>Null while there is something to do.</returns>
    public RunOver? EndedSince(DateTimeOffset began)
    {
        if (Read() is not { ExitCode: { } code } term)
            return null;
        if (term.Since > began)
            return new RunOver(code, term.Message);
        return code == Contracts.ExitCode.Ok ? new RunOver(code, "The run is complete; give run.name another value for a new one.") : null;
    }

    /// <summary>This coordinator begins an attempt.</summary>
    public void Take(long epoch)
    {
        _epoch = epoch;
        Write(new Term(epoch, node, DateTimeOffset.UtcNow, null, ""));
    }

    /// <summary>The run has ended.</summary>
    public void End(RunOver over)
    {
        Require();
        Write(new Term(Math.Max(_epoch, Last), node, DateTimeOffset.UtcNow, over.ExitCode, over.Message));
    }

    private void Write(Term term)
    {
        var (temporary, text) = ($"{File}.{node}.unfinished", JsonSerializer.SerializeToUtf8Bytes(term));
        using (var stream = System.IO.File.Create(temporary))
        {
            stream.Write(text);
            stream.Flush(flushToDisk: true);
        }

        System.IO.File.Move(temporary, File, overwrite: true);
    }

    /// <summary>Asked before anything is written for the run.</summary>
    /// <exception cref="UserErrorException">Another coordinator leads the run by now.</exception>
    public void Require()
    {
        if (Read() is { } term && (term.Epoch > Math.Max(_epoch, _seen) || (term.Epoch == _epoch && term.Node != node)))
            throw new UserErrorException($"Node {term.Node} leads the run since attempt {term.Epoch}; this coordinator writes nothing more.", ExitCode.Failed);
    }

    private Term? Read()
    {
        try
        {
            return JsonSerializer.Deserialize<Term>(System.IO.File.ReadAllBytes(File));
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    private sealed record Term(long Epoch, string Node, DateTimeOffset Since, ExitCode? ExitCode, string Message);
}
