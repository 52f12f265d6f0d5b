using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;

namespace ColossalChat.Engine;

/// <summary>What the ranks agree on before a window's first micro-batch.</summary>
/// <param name="Totals">Over all ranks.</param>
/// <param name="Batches">Most micro-batches of a rank; those with fewer walk along.</param>
internal readonly record struct WindowShare(WindowTotals Totals, int Batches)
{
    /// <summary>Tells one's own numbers and hears all.</summary>
    public static WindowShare Agree(RankExchange exchange, IReadOnlyList<MicroBatch> window)
    {
        var own = MicroBatches.Totals(window);
        var all = exchange.All(new Own(own.Targets, own.Rows, window.Count));
        return new WindowShare(new WindowTotals(all.Sum(rank => rank.Targets), all.Sum(rank => rank.Rows)), all.Max(rank => rank.Batches));
    }

    private sealed record Own(long Targets, long Rows, int Batches);
}
