using System.Collections.Immutable;
using ColossalChat.Contracts;
using ColossalChat.Journal;

namespace ColossalChat.Cluster;

/// <summary>An iteration that the journal has whole.</summary>
/// <param name="Iteration">From 1.</param>
/// <param name="Epoch">The attempt of the run that trained on it.</param>
/// <param name="Weights">Content hash of each trained model after it; empty when nothing tells.</param>
public sealed record JournalledIteration(long Iteration, long Epoch, IReadOnlyDictionary<string, string> Weights);

/// <summary>
/// A run's journal as its final lineage tells it: what was given up when the run went back is left out. Changes nothing, so the
/// run may be going on.
/// </summary>
public sealed class RunJournal : IDisposable
{
    private readonly JournalView _view;
    private readonly SortedDictionary<long, Entry> _lineage = [];
    private readonly SortedSet<long> _twice = [];
    private SampleLedger _ledger = SampleLedger.Of([]);

    private RunJournal(JournalView view)
    {
        _view = view;
        Fold();
    }

    /// <summary>Reads a run's journal.</summary>
    /// <param name="runFolder">Folder of the run.</param>
    /// <returns>Null when the run has none.</returns>
    public static RunJournal? Open(string runFolder)
    {
        if (!JournalFolder.HasAny(JournalFolder.Of(runFolder)))
            return null;
        var view = JournalView.Open(JournalFolder.Of(runFolder));
        try
        {
            return new RunJournal(view);
        }
        catch
        {
            view.Dispose();
            throw;
        }
    }

    /// <summary>Iterations whose samples are all there and were used, in order.</summary>
    public IReadOnlyList<JournalledIteration> Iterations =>
        [.. _ledger.Counted.Keys.Where(_lineage.ContainsKey).Select(iteration => new JournalledIteration(iteration, _lineage[iteration].Epoch, WeightsAfter(iteration)))];

    /// <summary>The configuration that an iteration was made with; null when it is not there any more.</summary>
    public string? ConfigurationOf(long iteration) => _lineage.TryGetValue(iteration, out var entry)
        && _view.Of(RecordType.Settings).Where(record => record.Segment.Epoch == entry.Epoch).Select(_view.Content).FirstOrDefault(content => content is not null) is { } settings
            ? System.Text.Encoding.UTF8.GetString(settings)
            : null;

    /// <summary>Whether every sample was used exactly once.</summary>
    public JournalAudit Audit()
    {
        var (first, last) = (Known.Min(), Known.Max());
        return new JournalAudit
        {
            FirstIteration = first,
            LastIteration = last,
            Iterations = _ledger.Counted.Count,
            Samples = _ledger.Counted.Sum(entry => (long)entry.Value),
            Attempts = _view.Epochs.Count,
            GivenUpSamples = _ledger.Revoked,
            NotJournalled = [.. Range(first, last).Where(iteration => _ledger.Unjournalled.Contains(iteration) || !(_ledger.Counted.ContainsKey(iteration) || _ledger.Open.ContainsKey(iteration)))],
            Twice = [.. _twice],
            Lost = [.. _ledger.Open.Keys.Where(iteration => iteration < last)],
            Unconnected = [.. _lineage.Where(entry => !FollowsOn(entry.Key)).Select(entry => entry.Key)],
            Remarks = _view.Remarks,
        };
    }

    /// <summary>The parts of an iteration, by shard.</summary>
    /// <exception cref="UserErrorException">Something of it is damaged or gone.</exception>
    internal ImmutableSortedDictionary<int, BatchParts> PartsOf(long iteration)
    {
        if (!_ledger.Counted.ContainsKey(iteration) || !_lineage.TryGetValue(iteration, out var entry))
            throw new UserErrorException($"Iteration {iteration} is not whole in the journal. {Range()}", ExitCode.NotFound);
        var parts = JournalParts.Read(_view, JournalParts.OfEpoch(_view, iteration, entry.Epoch));
        var kinds = entry.Source.Needed.Length;
        return parts.Count == entry.Source.Batches && parts.Values.All(batch => batch.IsWhole(kinds))
            ? parts
            : throw new UserErrorException($"Iteration {iteration} is damaged in the journal: {parts.Values.Count(batch => batch.IsWhole(kinds))} of its {entry.Source.Batches} batches are whole. {Range()}");
    }

    /// <summary>Which iterations there are, for messages.</summary>
    internal string Range() => Iterations is { Count: > 0 } all
        ? $"The journal has {JournalAudit.Name([.. all.Select(iteration => iteration.Iteration)])}."
        : "The journal has no whole iteration.";

    /// <inheritdoc/>
    public void Dispose() => _view.Dispose();

    private IEnumerable<long> Known => _ledger.Counted.Keys.Concat(_ledger.Unjournalled).DefaultIfEmpty(0);

    private static IEnumerable<long> Range(long first, long last)
    {
        for (var iteration = Math.Max(1, first); iteration <= last; iteration++)
            yield return iteration;
    }

    private ImmutableSortedDictionary<string, string> WeightsAfter(long iteration) => _lineage[iteration].After
        ?? _lineage.GetValueOrDefault(iteration + 1)?.Source.Weights
        ?? ImmutableSortedDictionary<string, string>.Empty;

    // Whatever happened between two iterations: the second began with the weights that the first ended with.
    private bool FollowsOn(long iteration) =>
        _lineage.GetValueOrDefault(iteration - 1)?.After is not { } before
        || before.All(model => !_lineage[iteration].Source.Weights.TryGetValue(model.Key, out var now) || now == model.Value);

    private void Fold()
    {
        var records = Enum.GetValues<RecordType>()
            .Where(type => type != RecordType.Settings)
            .SelectMany(_view.Of)
            .OrderBy(record => record.Segment.Number)
            .ThenBy(record => record.Offset)
            .ToLookup(record => record.Segment.Epoch);
        foreach (var (epoch, after) in _view.Epochs)
        {
            _ledger = _ledger.Begin(epoch, after).State;
            foreach (var givenUp in _lineage.Keys.Where(iteration => iteration > after).ToArray())
                _lineage.Remove(givenUp);
            _twice.RemoveWhere(iteration => iteration > after);
            foreach (var record in records[epoch])
                Fold(epoch, record);
        }
    }

    private void Fold(long epoch, RecordHead record)
    {
        var key = record.Key;
        var step = key.Type switch
        {
            RecordType.Window => FoldWindow(epoch, record),
            RecordType.HandedOut => FoldHandOut(epoch, record),
            RecordType.Acknowledged => FoldAcknowledgement(epoch, record),
            RecordType.Missing => _ledger.Miss(epoch, key.Iteration),
            _ => _ledger.Ready(epoch, new BatchId(key.Iteration, key.Shard), (SampleField)key.Part, key.Rows),
        };
        _ledger = step.State;

        // Its writer leaves out what comes twice, so a second record is a second use.
        if (step.Outcome == LedgerOutcome.Duplicate)
            _twice.Add(key.Iteration);
    }

    private LedgerStep FoldWindow(long epoch, RecordHead record)
    {
        if (_view.Content(record) is not { } content)
            return new LedgerStep(_ledger, LedgerOutcome.Late);
        var source = JournalCodec.ReadSource(content);
        _lineage[record.Key.Iteration] = new Entry(epoch, source, null);
        return (_ledger with { Needed = SampleLedger.Of(source.Needed).Needed }).OpenWindow(epoch, record.Key.Iteration, source.Batches);
    }

    // A window that was written ahead began with older weights than those that train on it.
    private LedgerStep FoldHandOut(long epoch, RecordHead record)
    {
        if (_view.Content(record) is { Length: > 0 } content && _lineage.TryGetValue(record.Key.Iteration, out var entry))
            _lineage[record.Key.Iteration] = entry with { Source = entry.Source with { Weights = JournalCodec.ReadWeights(content) } };
        return _ledger.HandOut(epoch, record.Key.Iteration);
    }

    private LedgerStep FoldAcknowledgement(long epoch, RecordHead record)
    {
        if (_view.Content(record) is { } content && _lineage.TryGetValue(record.Key.Iteration, out var entry))
            _lineage[record.Key.Iteration] = entry with { After = JournalCodec.ReadWeights(content) };
        return _ledger.Acknowledge(epoch, record.Key.Iteration);
    }

    private sealed record Entry(long Epoch, WindowSource Source, ImmutableSortedDictionary<string, string>? After);
}
