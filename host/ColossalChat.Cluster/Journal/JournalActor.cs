using System.Collections.Immutable;
using System.IO.Hashing;
using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;
using ColossalChat.Journal;

namespace ColossalChat.Cluster;

/// <summary>
/// Keeps a run's samples on disk as they come, and gives back those that need not be made again. There is one for all attempts
/// of a run, on a dispatcher of its own because it waits for the disk. A disk that is full costs the journal its iteration and
/// not the run: it is noted once and tried again with the next window.
/// </summary>
internal sealed class JournalActor : ReceiveActor
{
    private readonly string _runFolder;
    private readonly JournalSettings _settings;
    private readonly ImmutableArray<ScoreKind> _needed;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly IActorRef _run = Context.Parent;
    private readonly SortedSet<long> _missing = [];
    private SampleLedger _ledger;
    private string _origin;
    private IJournalWriter? _writer;
    private JournalView? _older;
    private readonly SortedDictionary<long, ImmutableDictionary<(int Shard, SampleField Field), (RecordHead Head, UInt128 Hash)>> _known = [];
    private long _frontier;
    private long _after;
    private long _touched;
    private bool _isFaulty;
    private bool _isFenced;

    public JournalActor(string runFolder, JournalSettings settings, IReadOnlyList<ScoreKind> needed)
    {
        (_runFolder, _settings, _needed, _ledger, _origin) = (runFolder, settings, [.. needed], SampleLedger.Of(needed), settings.ExperienceOrigin);
        Receive<BeginEpoch>(Begin);
        Receive<OpenWindow>(Open);
        Receive<KeepPart>(Keep);
        Receive<KeepHandOut>(handed => Take(handed.Iteration, _ledger.HandOut(handed.Epoch, handed.Iteration), writer =>
        {
            writer.Append(new RecordKey(RecordType.HandedOut, handed.Iteration), handed.Weights.IsEmpty ? [] : JournalCodec.Write(handed.Weights));
            writer.Flush();
        }));
        Receive<KeepAcknowledgement>(Acknowledge);
        Receive<ChangeOrigin>(change => change.Epoch == _ledger.Epoch, change => _origin = _settings.OriginWith(change.Exchanged));
        Receive<CloseJournal>(_ =>
        {
            Try(writer => writer.Flush());
            Close();
            Sender.Tell(new JournalClosed());
        });
    }

    protected override void PostStop() => Close();

    private void Begin(BeginEpoch begin)
    {
        Close();
        _ledger = _ledger.Begin(begin.Epoch, begin.After).State;
        (_after, _frontier, _origin) = (begin.After, 0, _settings.OriginWith(begin.Exchanged));
        _missing.Clear();
        Guard(() =>
        {
            StartWriting();
            _older = JournalView.Open(JournalFolder.Of(_runFolder));
            _frontier = _older.Of(RecordType.Window).Select(record => record.Key.Iteration).DefaultIfEmpty(0).Max();
        });
    }

    // Whoever asks waits for the answer, so there is one whatever goes wrong.
    private void Open(OpenWindow open)
    {
        var parts = ImmutableSortedDictionary<int, BatchParts>.Empty;
        if (open.Epoch == _ledger.Epoch)
        {
            _touched = open.Iteration;
            foreach (var past in _known.Keys.Where(iteration => iteration < open.Iteration - open.Staleness).ToArray())
                _known.Remove(past);
            Guard(() => parts = Open(open, new WindowSource(_origin, open.Batches, _needed, open.Weights)));
        }

        Sender.Tell(new WindowOpened(open.Iteration, parts));
    }

    private ImmutableSortedDictionary<int, BatchParts> Open(OpenWindow open, WindowSource source)
    {
        if (_writer is null && !_isFenced)
            StartWriting();
        Take(open.Iteration, _ledger.OpenWindow(open.Epoch, open.Iteration, open.Batches), writer =>
        {
            foreach (var iteration in _missing)
                writer.Append(new RecordKey(RecordType.Missing, iteration), []);
            _missing.Clear();
            writer.Append(new RecordKey(RecordType.Window, open.Iteration), JournalCodec.Write(source));
        });
        if (_writer is not null && _isFaulty)
        {
            _isFaulty = false;
            Note($"The journal is written again from iteration {open.Iteration} on.");
        }

        if (_older is null)
            return ImmutableSortedDictionary<int, BatchParts>.Empty;
        if (open.Iteration > _frontier)
        {
            ForgetOlder();
            return ImmutableSortedDictionary<int, BatchParts>.Empty;
        }

        var known = open.Staleness > 0
            ? JournalParts.OfAhead(_older, open.Iteration, source, open.Staleness, _after)
            : JournalParts.OfSource(_older, open.Iteration, source);
        _known[open.Iteration] = known.ToImmutableDictionary(part => part.Key, part => (part.Value, XxHash128.HashToUInt128(_older.Content(part.Value) ?? [])));
        return JournalParts.Read(_older, known);
    }

    private void Keep(KeepPart part)
    {
        var field = part.Scores is { } given ? SampleLedger.FieldOf(given.Kind) : SampleField.Rollout;
        var rows = part.Rollout?.Rows ?? part.Scores!.Values.Rows;
        Take(part.Batch.Iteration, _ledger.Ready(part.Epoch, part.Batch, field, rows), writer =>
        {
            var key = new RecordKey(
                part.Rollout is null ? RecordType.Scores : RecordType.Rollout, part.Batch.Iteration, part.Batch.Shard, JournalCodec.PartOf(field), rows);
            var content = part.Rollout is { } rollout ? JournalCodec.Write(rollout) : JournalCodec.Write(part.Scores!);

            // What is known may have been made again all the same, and differently.
            if (_known.TryGetValue(part.Batch.Iteration, out var known) && known.TryGetValue((part.Batch.Shard, field), out var original) && original.Hash == XxHash128.HashToUInt128(content))
                writer.Append(key with { Type = RecordType.Reused }, JournalCodec.Write(original.Head));
            else
                writer.Append(key, content);
        });
    }

    private void Acknowledge(KeepAcknowledgement acknowledged) => Take(acknowledged.Iteration, _ledger.Acknowledge(acknowledged.Epoch, acknowledged.Iteration), writer =>
    {
        writer.Append(new RecordKey(RecordType.Acknowledged, acknowledged.Iteration), JournalCodec.Write(acknowledged.Weights));
        if (_settings.KeepIterations > 0)
            writer.Drop(acknowledged.Iteration - _settings.KeepIterations);
    });

    // What came already or too late changes nothing and is written nowhere.
    private void Take(long iteration, LedgerStep step, Action<IJournalWriter> write)
    {
        _ledger = step.State;
        if (step.Outcome != LedgerOutcome.Taken)
            return;
        _touched = iteration;
        Try(write);
    }

    private void Try(Action<IJournalWriter> write)
    {
        if (_writer is { } writer)
            Guard(() => write(writer));
        else
            Miss();
    }

    private void StartWriting() => _writer = _settings.Open(_runFolder, _ledger.Epoch, _after, Note);

    private void Guard(Action act)
    {
        try
        {
            act();
        }
        catch (JournalFencedException error)
        {
            _isFenced = true;
            StopWriting(error.Message);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            StopWriting($"{error.Message.TrimEnd('.')}. Make room or make the run folder writable; it is tried again with every iteration.");
        }
        catch (Exception error)
        {
            // The run does not depend on its journal, so no fault of it may end the run.
            _log.Error(error, "The journal failed.");
            StopWriting(error.Message);
        }
    }

    private void StopWriting(string why)
    {
        _writer?.Dispose();
        _writer = null;
        Miss();
        if (_isFaulty)
            return;
        _isFaulty = true;
        Note($"The journal cannot be written: {why} The run goes on; iterations until then cannot be replayed.");
    }

    // What is open beside it has lost what was not on the disk yet.
    private void Miss()
    {
        if (_touched == 0)
            return;
        _missing.Add(_touched);
        _missing.UnionWith(_ledger.Open.Keys);
    }

    private void ForgetOlder()
    {
        _older?.Dispose();
        _older = null;
    }

    private void Close()
    {
        _writer?.Dispose();
        _writer = null;
        _touched = 0;
        _known.Clear();
        ForgetOlder();
    }

    private void Note(string message) => _run.Tell(new FlowNoted(_ledger.Epoch, "journal", message));
}
