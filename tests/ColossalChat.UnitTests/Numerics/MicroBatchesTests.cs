using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using ColossalChat.UnitTests.Rlhf.Support;
using CsCheck;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Numerics;

[Trait("Category", "CI")]
public sealed class MicroBatchesTests
{
    [Fact]
    public void Heads_stand_before_their_targets()
    {
        using var scope = NewDisposeScope();
        var experience = new Experience(
            Ragged.FromRows([[1, 2, 3], [4, 5], [6, 7, 8, 9]]),
            Ragged.FromRows([[false, false, true], [false, false], [false, true, false, true]]),
            new Dictionary<string, Ragged<float>>
            {
                ["token"] = Ragged.FromRows([[0, 0, .3f], [0, 0], [0, .7f, 0, .9f]]),
                ["row"] = Ragged.Scalars<float>(new[] { 10f, 20, 30 }),
            });
        var batch = Assert.Single(MicroBatches.Build(experience, new MicroBatchCut(), CPU));
        Assert.Equal([1, 2, 3, 0, 6, 7, 8, 9], batch.TokenIds.data<long>().ToArray());
        Assert.Equal([1, 4, 6], batch.HeadPositions.data<long>().ToArray());
        Assert.Equal([3, 7, 9], batch.Targets.data<long>().ToArray());
        Assert.Equal([1, 2], batch.TargetsPerRow);
        Assert.Equal([.3f, .7f, .9f], TensorData.ToFloats(batch.Columns["token"]));
        Assert.Equal([10f, 30], TensorData.ToFloats(batch.Columns["row"]));

        var last = Assert.Single(MicroBatches.Build(experience, new MicroBatchCut { Placement = HeadPlacement.LastToken }, CPU));
        Assert.Equal([2, 5, 11], last.HeadPositions.data<long>().ToArray());
        Assert.Equal([10f, 20, 30], TensorData.ToFloats(last.Columns["row"]));
    }

    [Fact]
    public void A_target_on_the_first_token_is_refused()
    {
        using var scope = NewDisposeScope();
        var experience = new Experience(Ragged.FromRows([[1, 2]]), Ragged.FromRows([[true, true]]), new Dictionary<string, Ragged<float>>());
        Assert.Throws<ArgumentException>(() => MicroBatches.Build(experience, new MicroBatchCut(), CPU));
    }

    [Fact] // For any rows and any budget: order, totals, budget and pairs are kept.
    public void Cutting_keeps_order_budget_and_pairs() =>
        Gen.Select(Gen.Int[1, 9].Array[1, 12], Gen.Int[1, 40], Gen.Int[0, 5], Gen.Bool).Sample((lengths, tokens, rows, pairs) =>
        {
            using var scope = NewDisposeScope();
            lengths = pairs ? [.. lengths, .. lengths] : lengths;
            var id = 0;
            var experience = new Experience(
                Ragged.FromRows(lengths.Select(length => Enumerable.Range(0, length).Select(_ => id++).ToArray())),
                Ragged.FromRows(lengths.Select(length => new bool[length])),
                new Dictionary<string, Ragged<float>>());
            var cut = new MicroBatchCut { Placement = HeadPlacement.LastToken, Tokens = tokens, Rows = rows, KeepPairs = pairs };
            var window = MicroBatches.Build(experience, cut, CPU);
            Assert.Equal(lengths, window.SelectMany(batch => batch.Layout.Lengths));
            Assert.Equal(
                Enumerable.Range(0, lengths.Length).Select(row => (long)experience.Tokens[row].Span[^1]),
                window.SelectMany(batch => batch.Targets.data<long>().ToArray()));
            Assert.Equal(new WindowTotals(lengths.Length, lengths.Length), MicroBatches.Totals(window));
            var smallest = pairs ? 2 : 1;
            Assert.All(window, batch => Assert.True(
                batch.Rows == smallest || (batch.TokenIds.numel() <= tokens && (rows == 0 || batch.Rows <= rows))));
            Assert.All(window, batch => Assert.Equal(0, batch.Rows % smallest));
        }, iter: 100);

    [Fact]
    public void Values_spread_over_padded_rows_and_gradients_come_back()
    {
        using var scope = NewDisposeScope();
        using var padded = new PaddedTargets([2, 0, 1], CPU);
        var values = tensor(new[] { 1f, 2, 3 }).requires_grad_();
        var spread = padded.Spread(values);
        Assert.Equal([1f, 2, 0, 0, 3, 0], TensorData.ToFloats(spread));
        Assert.Equal([true, true, false, false, true, false], padded.IsResponse.data<bool>().ToArray());
        (spread * spread).sum().backward();
        Assert.Equal([2f, 4, 6], TensorData.ToFloats(values.grad!));
    }

    [Theory] // Property 2: how much padding a row gets changes nothing.
    [InlineData(1)]
    [InlineData(16)]
    [InlineData(1000)]
    public void Padding_does_not_change_scores(int budget)
    {
        using var model = new TinyModel();
        var rows = new[] { new[] { 1, 2, 3 }, [4, 5, 6, 7, 8, 9], [1, 10] };
        var experience = new Experience(
            Ragged.FromRows(rows),
            Ragged.FromRows(rows.Select(row => row.Select((_, t) => t > 0).ToArray())),
            new Dictionary<string, Ragged<float>>());
        var growth = LiveTensors.GrowthOf(() =>
        {
            var together = SequenceScoring.LogProbs(model, experience, 1, budget, CancellationToken.None);
            var alone = Enumerable.Range(0, 3).SelectMany(row => SequenceScoring.LogProbs(model, experience.Pick([row]), 1, 1, CancellationToken.None));
            Assert.Equal(alone, together, (a, b) => Math.Abs(a - b) < 1e-5);
            Assert.Equal(8, together.Length);
        });
        Assert.Equal(0, growth);
    }
}
