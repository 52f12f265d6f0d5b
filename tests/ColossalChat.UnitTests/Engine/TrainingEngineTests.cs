using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Engine;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using ColossalChat.UnitTests.Rlhf.Support;
using ColossalChat.UnitTests.Zero;
using ColossalChat.Zero;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Engine;

[Trait("Category", "CI")]
public sealed class TrainingEngineTests
{
    private static readonly EngineOptions NoClip = new() { MaxGradNorm = 0 };

    [Fact] // Property 5: 1 x 8 = 2 x 4 = 8 x 1 with ragged rows.
    public void How_a_window_is_cut_does_not_change_the_gradient()
    {
        var whole = GradientOf(Window(rows: 0), new CrossEntropy());
        foreach (var rows in new[] { 1, 2, 4 })
            AssertClose(whole, GradientOf(Window(rows), new CrossEntropy()), 1e-6);
    }

    [Fact] // The twin of the test above: dividing by each micro-batch's own tokens is what it guards against.
    public void A_mean_per_micro_batch_does_change_the_gradient()
    {
        var whole = GradientOf(Window(rows: 0), new NaiveMean());
        var cut = GradientOf(Window(rows: 1), new NaiveMean());
        Assert.True(whole.Zip(cut, (a, b) => Math.Abs(a - (b / 8))).Max() > 1e-3);
    }

    [Fact]
    public void Gradients_are_those_of_one_plain_backward()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        var slots = Slots(model);
        foreach (var slot in slots)
            slot.Value.requires_grad = true;
        var batch = Window(0)[0];
        var logits = model.LanguageHead.Forward(SequenceScoring.HiddenAtHead(model, batch));
        nn.functional.cross_entropy(logits, batch.Targets).backward();
        var expected = slots.SelectMany(slot => TensorData.ToFloats(slot.Value.grad!)).ToArray();
        AssertClose(expected, GradientOf(Window(0), new CrossEntropy()), 1e-6);
    }

    [Fact]
    public void Updates_equal_torch_adamw()
    {
        using var scope = NewDisposeScope();
        using var ours = new TinyModel();
        using var theirs = new TinyModel();
        var options = new EngineOptions { MaxGradNorm = .05, Optimizer = new OptimizerOptions { WeightDecay = .1 } };
        using var engine = NewEngine(ours, options);
        var slots = Slots(theirs).Select(slot => (slot, parameter: new TorchSharp.Modules.Parameter(slot.Value.detach(), true))).ToArray();
        foreach (var (slot, parameter) in slots)
            slot.Value = parameter;
        var matrices = slots.Where(s => s.slot.Shape.Count > 1).Select(s => s.parameter).ToArray();
        var vectors = slots.Where(s => s.slot.Shape.Count < 2).Select(s => s.parameter).ToArray();
        var decaying = optim.AdamW(matrices, .01, .9, .95, 1e-8, .1);
        var steady = optim.AdamW(vectors, .01, .9, .95, 1e-8, 0);
        for (var step = 0; step < 4; step++)
        {
            var batch = Window(0)[0];
            engine.ComputeGradients([new ObjectivePart("x", [batch], new CrossEntropy())], CancellationToken.None);
            engine.Apply(.01);
            decaying.zero_grad();
            steady.zero_grad();
            nn.functional.cross_entropy(theirs.LanguageHead.Forward(SequenceScoring.HiddenAtHead(theirs, batch)), batch.Targets).backward();
            nn.utils.clip_grad_norm_(slots.Select(s => s.parameter), .05);
            decaying.step();
            steady.step();
        }

        AssertClose(Weights(theirs), Weights(ours), 1e-5);
    }

    [Fact]
    public void A_window_without_batches_leaves_no_gradient_of_the_last_one()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var engine = NewEngine(model, NoClip);
        Assert.True(engine.ComputeGradients([new ObjectivePart("x", Window(0), new CrossEntropy())], CancellationToken.None).GradientNorm > 0);
        Assert.Equal(0, engine.ComputeGradients([new ObjectivePart("x", [], new CrossEntropy())], CancellationToken.None).GradientNorm);
    }

    [Fact] // Property 9: a part of coefficient 0 leaves no trace; parts add up and have norms of their own.
    public void Parts_add_up_and_a_part_of_coefficient_zero_leaves_no_trace()
    {
        var (a, b) = (GradientOf(Window(0), new CrossEntropy()), GradientOf(Window(0), new NaiveMean(2)));
        var main = new ObjectivePart("main", Window(2), new CrossEntropy());
        var (sum, report) = GradientOf([main, new ObjectivePart("extra", Window(0), new NaiveMean(2), .5)]);
        AssertClose([.. a.Zip(b, (x, y) => x + (y / 2))], sum, 1e-6);
        Assert.Equal(Math.Sqrt(a.Sum(x => (double)x * x)), report.PartNorms["main"], 1e-5);
        Assert.Equal(Math.Sqrt(b.Sum(x => (double)x * x)) / 2, report.PartNorms["extra"], 1e-5);
        Assert.Contains("extra/loss", report.Metrics.Keys);

        var (alone, _) = GradientOf([main]);
        var (beside, without) = GradientOf([main, new ObjectivePart("extra", Window(0), new NaiveMean(float.NaN), 0)]);
        Assert.Equal(alone, beside);
        Assert.Equal(["main"], without.PartNorms.Keys);
        Assert.True(without.IsFinite && double.IsNaN(without.Metrics["extra/loss"]), "It is measured, and what it measures stops nothing.");
    }

    [Theory] // Property 6, first half: captured and restored, an engine goes on bit for bit.
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void A_restored_engine_continues_bit_for_bit(ScalarType precision)
    {
        using var unbroken = new TinyModel(precision: precision);
        using var first = NewEngine(unbroken, new EngineOptions());
        Run(first, 3);
        var state = new MemoryState();
        first.Capture(state);
        Run(first, 3);

        using var fresh = new TinyModel(seed: 99, precision: precision);
        using var second = NewEngine(fresh, new EngineOptions());
        second.Restore(state);
        Assert.Equal(3, second.Steps);
        Run(second, 3);
        Assert.Equal(Weights(unbroken), Weights(fresh));
        var (end, again) = (new MemoryState(), new MemoryState());
        first.Capture(end);
        second.Capture(again);
        Assert.Equal(end.Fingerprint(), again.Fingerprint());
    }

    [Fact]
    public void Restoring_another_shape_is_refused_by_name()
    {
        using var model = new TinyModel();
        using var engine = NewEngine(model, NoClip);
        var state = new MemoryState();
        engine.Capture(state);
        using var other = new TinyModel(vocabulary: 12);
        using var stranger = NewEngine(other, NoClip);
        Assert.Contains("master/embed", Assert.Throws<UserErrorException>(() => stranger.Restore(state)).Message, StringComparison.Ordinal);
    }

    [Fact] // Small contributions must not drown in bf16 sums.
    public void Gradients_of_bf16_weights_add_up_in_float32()
    {
        using var model = new TinyModel(precision: ScalarType.BFloat16);
        using var engine = NewEngine(model, NoClip);
        using var scope = NewDisposeScope();
        var one = engine.ComputeGradients([new ObjectivePart("x", Window(0), new CrossEntropy())], CancellationToken.None).GradientNorm;
        var copies = Enumerable.Range(0, 300).SelectMany(_ => Window(0)).ToArray();
        var many = engine.ComputeGradients([new ObjectivePart("x", copies, new CrossEntropy())], CancellationToken.None).GradientNorm;
        Assert.Equal(one, many, one * 1e-2);
    }

    [Fact] // Property 19 at the engine: an overflow is seen, and skipping changes nothing.
    public void Overflow_is_reported_and_skipping_keeps_weights_and_steps()
    {
        using var model = new TinyModel();
        using var engine = NewEngine(model, NoClip);
        var before = Weights(model);
        using var scope = NewDisposeScope();
        var report = engine.ComputeGradients([new ObjectivePart("x", Window(0), new NaiveMean(float.NaN))], CancellationToken.None);
        Assert.False(report.IsFinite);
        Assert.Throws<InvalidOperationException>(() => engine.Apply(.1));
        engine.Skip();
        Assert.Equal(0, engine.Steps);
        Assert.Equal(before, Weights(model));
    }

    [Fact]
    public void Clipping_scales_to_the_norm_asked_for()
    {
        using var model = new TinyModel();
        using var engine = NewEngine(model, new EngineOptions { MaxGradNorm = 1e-3 });
        using var scope = NewDisposeScope();
        var report = engine.ComputeGradients([new ObjectivePart("x", Window(0), new CrossEntropy())], CancellationToken.None);
        Assert.True(report.Clipped);
        Assert.True(report.GradientNorm > 1e-3);

        // Adam forgets the scale of gradients, but its first moment does not.
        engine.Apply(.01);
        var state = new MemoryState();
        engine.Capture(state);
        var squares = Slots(model).Sum(slot => state.Floats($"adam-mean/{slot.Name}@0").Sum(m => (double)m * m));
        Assert.Equal(1e-3 * .1, Math.Sqrt(squares), 1e-7);
    }

    [Fact] // Roles that only read the model afterwards must not drag graphs along.
    public void A_window_leaves_no_tensor_behind()
    {
        using var model = new TinyModel();
        using var engine = NewEngine(model, new EngineOptions());
        var window = Window(2);
        var part = new ObjectivePart("x", window, new CrossEntropy());
        Run(engine, 1);
        Assert.Equal(0, LiveTensors.GrowthOf(() =>
        {
            engine.ComputeGradients([part, part with { Name = "y" }], CancellationToken.None);
            engine.Apply(.01);
            engine.Evaluate(part, CancellationToken.None);
            engine.Capture(new MemoryState());
        }));
        foreach (var batch in window)
            batch.Dispose();
    }

    [Fact]
    public void Disposing_an_engine_leaves_a_working_model()
    {
        using var model = new TinyModel();
        NewEngine(model, NoClip).Dispose();
        Assert.All(Slots(model), slot => Assert.False(slot.Value.requires_grad));
        Assert.True(Weights(model).All(float.IsFinite));
    }

    [Fact]
    public void A_cancelled_window_stops_between_micro_batches()
    {
        using var model = new TinyModel();
        using var engine = NewEngine(model, NoClip);
        using var scope = NewDisposeScope();
        Assert.Throws<OperationCanceledException>(() =>
            engine.ComputeGradients([new ObjectivePart("x", Window(1), new CrossEntropy())], new CancellationToken(true)));
    }

    private static void Run(TrainingEngine engine, int steps)
    {
        for (var i = 0; i < steps; i++)
        {
            using var scope = NewDisposeScope();
            engine.ComputeGradients([new ObjectivePart("x", Window(2), new CrossEntropy())], CancellationToken.None);
            engine.Apply(.01);
        }
    }

    private static TrainingEngine NewEngine(TinyModel model, EngineOptions options) =>
        new(new TrainingTarget(model, model.LanguageHead, null), options, new ZeroStrategy(ZeroStrategy.None, ShardingLevel.Nothing), CollectiveRanks.Alone(), Path.GetTempPath());

    private static IReadOnlyList<MicroBatch> Window(int rows)
    {
        int[][] tokens = [[1, 2, 3], [4, 5], [6, 7, 8, 9, 10, 1, 2], [3, 4, 5], [9, 8], [7, 6, 5, 4], [1, 3], [2, 4, 6, 8, 10, 9]];
        var isTarget = tokens.Select(row => row.Select((_, t) => t > 0).ToArray());
        var experience = new Experience(Ragged.FromRows(tokens), Ragged.FromRows(isTarget), new Dictionary<string, Ragged<float>>());
        return MicroBatches.Build(experience, new MicroBatchCut { Rows = rows }, CPU);
    }

    private static float[] GradientOf(IReadOnlyList<MicroBatch> window, IObjective objective) =>
        GradientOf([new ObjectivePart("x", window, objective)]).Gradients;

    private static (float[] Gradients, GradientReport Report) GradientOf(IReadOnlyList<ObjectivePart> parts)
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var engine = NewEngine(model, NoClip);
        var report = engine.ComputeGradients(parts, CancellationToken.None);
        return (Gradients(engine, model), report);
    }

    private static ParameterSlot[] Slots(TinyModel model) =>
        [.. model.Embedding.Parameters, .. model.Blocks[0].Parameters, .. model.LanguageHead.Parameters];

    // What Adam's first moment takes up at its first update is a tenth of the gradient; a rate of 0 moves no weight.
    private static float[] Gradients(TrainingEngine engine, TinyModel model)
    {
        engine.Apply(0);
        var state = new MemoryState();
        engine.Capture(state);
        return [.. Slots(model).SelectMany(slot => state.Floats($"adam-mean/{slot.Name}@0")).Select(mean => mean / .1f)];
    }

    private static float[] Weights(TinyModel model) => [.. Slots(model).SelectMany(slot => TensorData.ToFloats(slot.Value))];

    private static void AssertClose(float[] expected, float[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.True(expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max() <= tolerance);
    }

    private sealed class CrossEntropy : IObjective
    {
        public ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals) => new(
            nn.functional.cross_entropy(output.to(float32), batch.Targets, reduction: nn.Reduction.Sum) / totals.Targets,
            new Dictionary<string, double>());
    }

    private sealed class NaiveMean(float factor = 1) : IObjective
    {
        public ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals) =>
            new(factor * nn.functional.cross_entropy(output, batch.Targets), new Dictionary<string, double>());
    }
}
