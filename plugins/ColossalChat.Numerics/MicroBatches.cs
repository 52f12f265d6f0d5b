using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Numerics;

// B = sequences, T = tokens of the longest, N = head positions over all rows.

/// <summary>What a head reads.</summary>
public enum HeadPlacement
{
    /// <summary>The position before every target token: what predicts it, or values the state before it. Rows without targets are left out.</summary>
    PredictTargets,

    /// <summary>The last token of every row: what judges a whole sequence.</summary>
    LastToken,
}

/// <summary>How experience is cut into micro-batches.</summary>
public sealed record MicroBatchCut
{
    /// <summary>What the head reads.</summary>
    public HeadPlacement Placement { get; init; } = HeadPlacement.PredictTargets;

    /// <summary>Most padded tokens (rows x longest) of one micro-batch; one row (or pair) always fits. 1 or more.</summary>
    public int Tokens { get; init; } = 8192;

    /// <summary>Most rows of one micro-batch; 0 for no limit.</summary>
    public int Rows { get; init; }

    /// <summary>Rows 2i and 2i + 1 stay together.</summary>
    public bool KeepPairs { get; init; }
}

/// <summary>Cuts experience into micro-batches, in order.</summary>
public static class MicroBatches
{
    /// <summary>
    /// Micro-batches over all rows that have something to read, in their order. The caller disposes them.
    /// </summary>
    /// <param name="experience">Ragged rows.</param>
    /// <param name="cut">How to cut.</param>
    /// <param name="device">Where the tensors go.</param>
    public static IReadOnlyList<MicroBatch> Build(Experience experience, MicroBatchCut cut, Device device)
    {
        var rows = ReadableRows(experience, cut.Placement);
        var unit = cut.KeepPairs ? 2 : 1;
        if (rows.Length % unit != 0)
            throw new ArgumentException($"{rows.Length} rows do not make pairs.", nameof(experience));
        var result = new List<MicroBatch>();
        var (start, longest) = (0, 0);
        for (var i = 0; i < rows.Length; i += unit)
        {
            var length = Enumerable.Range(i, unit).Max(k => experience.Tokens.LengthOf(rows[k]));
            var count = i - start + unit;
            var isFull = (long)count * Math.Max(longest, length) > cut.Tokens || (cut.Rows > 0 && count > cut.Rows);
            if (isFull && i > start)
            {
                result.Add(Make(experience, rows[start..i], cut.Placement, device));
                (start, longest) = (i, 0);
            }

            longest = Math.Max(longest, length);
        }

        if (rows.Length > start)
            result.Add(Make(experience, rows[start..], cut.Placement, device));
        return result;
    }

    /// <summary>Totals of a window held by one rank.</summary>
    public static WindowTotals Totals(IReadOnlyList<MicroBatch> window) =>
        new(window.Sum(batch => (long)batch.TargetCount), window.Sum(batch => (long)batch.Rows));

    private static int[] ReadableRows(Experience experience, HeadPlacement placement) =>
        Enumerable.Range(0, experience.Rows)
            .Where(row => placement == HeadPlacement.LastToken
                ? experience.Tokens.LengthOf(row) > 0
                : experience.IsTarget[row].Span.Contains(true))
            .ToArray();

    private static MicroBatch Make(Experience experience, int[] rows, HeadPlacement placement, Device device)
    {
        var lengths = rows.Select(row => experience.Tokens.LengthOf(row)).ToArray();
        var longest = lengths.Max();
        var tokens = new long[rows.Length * longest];
        var positions = new List<long>();
        var targets = new List<long>();
        var sources = new List<int>();
        var perRow = new int[rows.Length];
        for (var i = 0; i < rows.Length; i++)
        {
            var row = experience.Tokens[rows[i]].Span;
            for (var t = 0; t < row.Length; t++)
                tokens[(i * longest) + t] = row[t];
            perRow[i] = AddTargets(experience, rows[i], placement, (long)i * longest, positions, targets, sources);
        }

        return new MicroBatch
        {
            TokenIds = TensorData.From<long>(tokens, [rows.Length, longest], device),
            Layout = new SequenceLayout(lengths, longest) { RowKeys = [.. rows.Select(row => KeyOf(experience.Tokens[row].Span))] },
            HeadPositions = TensorData.From<long>(positions.ToArray(), [positions.Count], device),
            Targets = TensorData.From<long>(targets.ToArray(), [targets.Count], device),
            TargetsPerRow = perRow,
            Columns = experience.Columns.ToDictionary(
                column => column.Key,
                column => MakeColumn(experience, column.Value, rows, sources, device)),
        };
    }

    // FNV-1a over the row's ids.
    private static ulong KeyOf(ReadOnlySpan<int> ids)
    {
        var key = 0xCBF29CE484222325;
        foreach (var id in ids)
            key = (key ^ (uint)id) * 0x100000001B3;
        return key;
    }

    private static int AddTargets(
        Experience experience,
        int row,
        HeadPlacement placement,
        long paddedStart,
        List<long> positions,
        List<long> targets,
        List<int> sources)
    {
        var ids = experience.Tokens[row].Span;
        var start = experience.Tokens.Offsets.Span[row];
        if (placement == HeadPlacement.LastToken)
        {
            positions.Add(paddedStart + ids.Length - 1);
            targets.Add(ids[^1]);
            sources.Add(start + ids.Length - 1);
            return 1;
        }

        var isTarget = experience.IsTarget[row].Span;
        if (isTarget[0])
            throw new ArgumentException($"Row {row}: its first token is a target, but nothing predicts a first token.", nameof(experience));
        var count = 0;
        for (var t = 1; t < ids.Length; t++)
        {
            if (!isTarget[t])
                continue;
            positions.Add(paddedStart + t - 1);
            targets.Add(ids[t]);
            sources.Add(start + t);
            count++;
        }

        return count;
    }

    private static Tensor MakeColumn(Experience experience, Ragged<float> column, int[] rows, List<int> sources, Device device)
    {
        var values = column.Values.Span;
        if (column.HasShapeOf(experience.Tokens))
        {
            var atTargets = new float[sources.Count];
            for (var i = 0; i < atTargets.Length; i++)
                atTargets[i] = values[sources[i]];
            return TensorData.From<float>(atTargets, [atTargets.Length], device);
        }

        var perRow = new float[rows.Length];
        for (var i = 0; i < rows.Length; i++)
            perRow[i] = column[rows[i]].Span[0];
        return TensorData.From<float>(perRow, [perRow.Length], device);
    }
}
