using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Engine;
using ColossalChat.PluginKit;
using ColossalChat.Rlhf;
using ColossalChat.Zero;

namespace ColossalChat.UnitTests.Rlhf.Support;

/// <summary>A node with engine and RLHF plugin over tiny models.</summary>
internal static class TinyNode
{
    public static TestNode Over(TinyStore store, ulong seed = 1) => Over(store, new TestNode(seed));

    public static TestNode Over(TinyStore store, TestNode node)
    {
        node.With(new EnginePlugin()).With(new ZeroPlugin()).With(new RlhfPlugin()).With(new ByteTokenizer());
        return node.With<IModelStore>("models", store);
    }

    /// <summary>One optimiser iteration of any trainer.</summary>
    public static IReadOnlyDictionary<string, double> Train(ITrainerRole trainer, Experience experience, long iteration = 1, long iterations = 100)
    {
        var steps = trainer.Begin(new TrainRequest(iteration, iterations, experience));
        for (var step = 0; step < steps; step++)
            trainer.Finish(step, trainer.Compute(step, CancellationToken.None));
        return trainer.End();
    }

    /// <summary>A trainer's numbers but those that depend on the clock.</summary>
    public static Dictionary<string, double> WithoutSpeed(IReadOnlyDictionary<string, double> metrics) =>
        metrics.Where(metric => !metric.Key.StartsWith("perf/", StringComparison.Ordinal)).ToDictionary();

    /// <summary>Prompts of one token each.</summary>
    public static PromptBatch Prompts(BatchId batch, int rows, int token = 1) => new(
        batch,
        Ragged.FromRows(Enumerable.Range(0, rows).Select(_ => new[] { token })),
        [.. Enumerable.Range(0, rows).Select(row => (long)row)],
        new int[rows],
        [.. Enumerable.Repeat("{}", rows)],
        new ByteTokenizer().Hash);
}
