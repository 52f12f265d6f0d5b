using System.Collections.Immutable;

namespace ColossalChat.Cluster;

/// <summary>How the prompts of a window are cut into batches.</summary>
internal static class WindowPlan
{
    /// <summary>
    /// First prompt and number of prompts of each batch. Answers to one prompt stay together, because estimators compare
    /// them: a group larger than a batch is a batch of its own.
    /// </summary>
    public static ImmutableArray<(int First, int Count)> Cut(int prompts, int answersPerPrompt, int rowsPerBatch)
    {
        var perBatch = rowsPerBatch <= 0 ? Math.Max(1, prompts) : Math.Max(1, rowsPerBatch / answersPerPrompt);
        var batches = ImmutableArray.CreateBuilder<(int, int)>();
        for (var first = 0; first < prompts; first += perBatch)
            batches.Add((first, Math.Min(perBatch, prompts - first)));
        return batches.ToImmutable();
    }
}
