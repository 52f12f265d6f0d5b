using System.Globalization;
using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Who leads a run and which attempt it is, in the run folder that all candidates share. Attempts have numbers from 1 without a
/// gap; each belongs to whoever made its file in folder <c>terms</c>, which no two can. So a coordinator that was paused and
/// replaced finds the number after its own taken, and writes nothing more.
/// </summary>
/// <param name="runFolder">Folder of the run.</param>
/// <param name="node">Name of this node.</param>
public sealed class CoordinatorTerm(string runFolder, string node)
{
    private const string FileName = "coordinator.json";
    private const string ClaimsName = "terms";

    // 0 for nobody who leads.
    private long _held;
    private bool _isUsed;

    private string File => Path.Combine(runFolder, FileName);

    /// <summary>True when somebody began an attempt of the run.</summary>
    public bool HasBegun => Read() is not null;

    /// <summary>What the folder says now; with it <see cref="EndedSince"/> tells what was there from what came, whatever the clocks say.</summary>
    public string Mark
    {
        get
        {
            try
            {
                return System.IO.File.ReadAllText(File);
            }
            catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
            {
                return "";
            }
        }
    }

    /// <summary>How the run ended, as far as it concerns a process: one that was started after a failure goes on with the run.</summary>
    /// <param name="mark"><see cref="Mark"/> when the process began; empty to hear of any end.</param>
    /// <returns>Null while there is something to do.</returns>
    public RunOver? EndedSince(string mark)
    {
        var now = Mark;
        if (Read(now) is not { ExitCode: { } code } term)
            return null;
        if (now != mark)
            return new RunOver(code, term.Message);
        return code == Contracts.ExitCode.Ok ? new RunOver(code, "The run is complete; give run.name another value for a new one.") : null;
    }

    /// <summary>This node leads from now on, and nobody who led before. Once, before it writes anything.</summary>
    public void Lead()
    {
        Directory.CreateDirectory(Path.Combine(runFolder, ClaimsName));
        var number = Read()?.Epoch ?? 0;
        do
            number++;
        while (!TryClaim(number));
        (_held, _isUsed) = (number, false);
    }

    /// <summary>The number of this coordinator's next attempt; nobody else's.</summary>
    /// <param name="above">Numbers up to this one are taken.</param>
    /// <exception cref="UserErrorException">Another coordinator leads the run by now.</exception>
    public long Next(long above)
    {
        if (_held == 0)
            Lead();
        Require();

        // One after the other: a gap would hide whoever comes next from those who lead no more.
        while (_isUsed || _held <= above)
        {
            if (!TryClaim(_held + 1))
                throw IsReplaced(_held + 1);
            (_held, _isUsed) = (_held + 1, false);
        }

        _isUsed = true;
        return _held;
    }

    /// <summary>An attempt of this coordinator begins.</summary>
    /// <exception cref="UserErrorException">Another coordinator leads the run by now.</exception>
    public void Begin(long epoch)
    {
        Require();
        Write(new Term(epoch, node, DateTimeOffset.UtcNow, null, ""));
    }

    /// <summary>The run has ended.</summary>
    /// <exception cref="UserErrorException">Another coordinator leads the run by now.</exception>
    public void End(RunOver over)
    {
        if (_held == 0)
            throw new InvalidOperationException($"Node {node} does not lead the run in {runFolder}, so it cannot say how it ended.");
        Require();
        Write(new Term(_held, node, DateTimeOffset.UtcNow, over.ExitCode, over.Message));
    }

    /// <summary>Asked before anything is written for the run.</summary>
    /// <exception cref="UserErrorException">Another coordinator leads the run by now.</exception>
    public void Require()
    {
        if (Read() is { } term && (term.Epoch > _held || (term.Epoch == _held && term.Node != node)))
            throw IsReplaced(term.Epoch, term.Node);
        if (System.IO.File.Exists(ClaimOf(_held + 1)))
            throw IsReplaced(_held + 1);
    }

    private string ClaimOf(long epoch) => Path.Combine(runFolder, ClaimsName, epoch.ToString("D8", CultureInfo.InvariantCulture));

    private bool TryClaim(long epoch)
    {
        var claim = ClaimOf(epoch);
        try
        {
            using var stream = new FileStream(claim, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
            stream.Write(System.Text.Encoding.UTF8.GetBytes(node));
            stream.Flush(flushToDisk: true);
            return true;
        }
        catch (IOException) when (System.IO.File.Exists(claim))
        {
            return false;
        }
    }

    private UserErrorException IsReplaced(long epoch) => IsReplaced(epoch, System.IO.File.ReadAllText(ClaimOf(epoch)));

    private static UserErrorException IsReplaced(long epoch, string node) =>
        new($"Node {node} leads the run since attempt {epoch}; this coordinator writes nothing more.", ExitCode.Failed);

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

    private Term? Read() => Read(Mark);

    private Term? Read(string text)
    {
        try
        {
            return text.Length == 0 ? null : JsonSerializer.Deserialize<Term>(text);
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{File} is no record of a coordinator: {error.Message} It tells who leads the run and how it ended; delete it to go on from the last checkpoint.", error);
        }
    }

    private sealed record Term(long Epoch, string Node, DateTimeOffset Since, ExitCode? ExitCode, string Message);
}
