using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using ColossalChat.UnitTests.Models;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Zero;

/// <summary>A rank's share of a window for a <see cref="SmallModel"/>.</summary>
internal static class SmallWindow
{
    /// <summary>Ragged rows; with three or more ranks the last of them has fewer, so that it walks along at times.</summary>
    public static IReadOnlyList<MicroBatch> Ragged(int rows, int rank = 0, int ranks = 1, int microBatches = 1)
    {
        var all = Enumerable.Range(0, rows).Select(row => SmallModel.Ids(row, 3 + (row * 7 % 23)).Select(id => (int)id).ToArray()).ToArray();
        var own = all.Where((_, row) => row % ranks == rank).ToArray();
        var experience = new Experience(
            Contracts.Ragged.FromRows(own), Contracts.Ragged.FromRows(own.Select(row => row.Select((_, t) => t > 0).ToArray())), new Dictionary<string, Ragged<float>>());
        var perBatch = (own.Length + microBatches - 1) / microBatches;
        return MicroBatches.Build(experience, new MicroBatchCut { Rows = perBatch, Tokens = int.MaxValue }, CPU);
    }
}
