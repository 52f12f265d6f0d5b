using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Hands out a dataset's rows, iteration by iteration. Nothing but the data is state: every iteration can be asked for at any time.</summary>
internal sealed class FileBatchSource : IBatchSource
{
    private readonly TrainingItem[] _train;
    private readonly bool _isPairs;
    private readonly EpochPlan _plan;
    private readonly string _fingerprint;

    private FileBatchSource(TrainingItems items, TrainingItems? ownHeldOut, BatchOptions options, int maxTokens, bool isPairs, ulong seed)
    {
        // Files of their own for measuring leave all other rows to training.
        var isHeldOut = HeldOutSplit.Choose([.. items.Items.Select(item => item.Key)], ownHeldOut is null ? options.HeldOut : 0);
        _train = [.. items.Items.Where((_, i) => !isHeldOut[i])];
        var heldOut = (ownHeldOut?.Items ?? items.Items.Where((_, i) => isHeldOut[i])).ToArray();
        if (_train.Length == 0)
            throw new UserErrorException(
                $"No row is left to train on in {string.Join(", ", options.Files)}. {string.Join(' ', items.Dropped.Sentences())}".TrimEnd());
        _isPairs = isPairs;
        _plan = new EpochPlan([.. _train.Select(item => item.Length)], options.BatchSize, options.GroupByLength, seed);
        Iterations = Math.Max(1, (long)Math.Ceiling(options.Epochs * _plan.BatchesPerEpoch));
        HeldOut = [.. heldOut.Select((item, i) => (item, i)).Chunk(options.BatchSize).Select(batch => Build(batch))];
        Metrics = Measure(items, heldOut.Length);
        Remarks = Describe(items, heldOut.Length, maxTokens, options);
        _fingerprint = FingerprintOf(options, heldOut, seed);
    }

    /// <inheritdoc/>
    public long Iterations { get; }

    /// <inheritdoc/>
    public IReadOnlyList<Experience> HeldOut { get; }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double> Metrics { get; }

    /// <inheritdoc/>
    public IReadOnlyList<string> Remarks { get; }

    /// <summary>Answers to learn.</summary>
    public static FileBatchSource OfAnswers(SftBatchOptions options, INodeContext context)
    {
        var (text, maxTokens) = Open(options, context);
        return Build(options, context, maxTokens, isPairs: false, dataset => TrainingItems.OfAnswers(dataset, text, maxTokens, options.Truncate));
    }

    /// <summary>Pairs of a better and a worse answer.</summary>
    public static FileBatchSource OfPairs(PreferenceBatchOptions options, INodeContext context)
    {
        var (text, maxTokens) = Open(options, context);
        return Build(options, context, maxTokens, isPairs: true, dataset => TrainingItems.OfPairs(dataset, text, maxTokens));
    }

    /// <inheritdoc/>
    public IReadOnlyList<Experience> Take(long iteration, int ranks)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(iteration, 1);
        var rows = _plan.RowsOf(iteration);
        // Dealt like cards: with rows sorted by length every rank gets about the same number of tokens.
        return [.. Enumerable.Range(0, ranks).Select(rank =>
            Build([.. rows.Where((_, i) => i % ranks == rank).Select(row => (_train[row], row))]))];
    }

    /// <inheritdoc/>
    public void Capture(IStateWriter writer) => DataFingerprint.Capture(writer, _fingerprint);

    /// <inheritdoc/>
    public void Restore(IStateReader reader) => DataFingerprint.Restore(reader, _fingerprint);

    private static FileBatchSource Build(
        BatchOptions options, INodeContext context, int maxTokens, bool isPairs, Func<IDataset, TrainingItems> encode)
    {
        TrainingItems Read(IReadOnlyList<string> files) => encode(FileDataset.Load(files, options.Format, options.OnBadRow));
        var heldOut = options.HeldOutFiles.Count == 0 ? null : Read(options.HeldOutFiles);
        return new FileBatchSource(Read(options.Files), heldOut, options, maxTokens, isPairs, context.Seed);
    }

    private static (TextModel Text, int MaxTokens) Open(BatchOptions options, INodeContext context)
    {
        var catalog = context.Resolve<IModelCatalog>("models");
        return (catalog.TextOf(options.Model), ModelContext.Resolve(options.MaxTokens, catalog.FolderOf(options.Model)));
    }

    private Experience Build(IReadOnlyList<(TrainingItem Item, int Index)> rows)
    {
        var sequences = rows.SelectMany(row => row.Item.Sequences).ToArray();
        var columns = new Dictionary<string, Ragged<float>>();
        if (_isPairs)
            columns[ExperienceColumns.Pair] = Ragged.Scalars<float>(rows.SelectMany(row => new[] { (float)row.Index, row.Index }).ToArray());
        return new Experience(
            Ragged.FromRows(sequences.Select(sequence => sequence.Ids)),
            Ragged.FromRows(sequences.Select(sequence => sequence.IsTarget)),
            columns);
    }

    private Dictionary<string, double> Measure(TrainingItems items, int heldOut)
    {
        var sequences = _train.SelectMany(item => item.Sequences).ToArray();
        var metrics = new Dictionary<string, double>
        {
            ["data/rows"] = _train.Length,
            ["data/sequences"] = sequences.Length,
            ["data/held_out_rows"] = heldOut,
            ["data/seq_len"] = sequences.Average(sequence => sequence.Ids.Length),
            ["data/seq_len_max"] = sequences.Max(sequence => sequence.Ids.Length),
            ["data/target_tokens"] = sequences.Sum(sequence => (long)sequence.IsTarget.Count(isTarget => isTarget)),
            ["data/pad_ratio"] = _plan.PaddingOfFirstEpoch(),
            ["data/trunc_ratio"] = (double)items.Truncated / items.Items.Count,
        };
        string[] reasons = _isPairs ? ["malformed", "no_answer", "too_long", "equal"] : ["malformed", "no_answer", "prompt_too_long", "too_long"];
        foreach (var reason in reasons)
            metrics[$"data/dropped_{reason}"] = items.Dropped.CountOf(reason);
        return metrics;
    }

    private List<string> Describe(TrainingItems items, int heldOut, int maxTokens, BatchOptions options)
    {
        var remarks = new List<string>
        {
            $"{_train.Length} {(_isPairs ? "pairs" : "rows")} to train on and {heldOut} held out from {string.Join(", ", options.Files)}: "
            + $"{Metrics["data/target_tokens"]:0} tokens carry loss, the longest sequence has {Metrics["data/seq_len_max"]:0} of {maxTokens} tokens, "
            + $"{Iterations} iterations of {options.BatchSize} rows.",
        };
        remarks.AddRange(items.Dropped.Sentences());
        if (items.Truncated > 0)
            remarks.Add($"Cut {items.Truncated} answers at {maxTokens} tokens; their stop token is not learned (truncate = false leaves such rows out).");
        return remarks;
    }

    private string FingerprintOf(BatchOptions options, TrainingItem[] heldOut, ulong seed)
    {
        using var fingerprint = new DataFingerprint();
        fingerprint.Add<ulong>([seed]).Add<int>([options.BatchSize, options.GroupByLength ? 1 : 0, _train.Length]);
        foreach (var sequence in _train.Concat(heldOut).SelectMany(item => item.Sequences))
            fingerprint.Add<int>(sequence.Ids).Add<bool>(sequence.IsTarget);
        return fingerprint.Finish();
    }
}
