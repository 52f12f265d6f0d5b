using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Cache;
using ColossalChat.PluginKit;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class KeyValueCacheTests
{
    private static readonly long[][] s_rows = [SmallModel.Ids(1, 12), SmallModel.Ids(2, 12), SmallModel.Ids(3, 12)];

    [Theory]
    [InlineData(new[] { 12, 12, 12 }, 0)]
    [InlineData(new[] { 5, 1, 9 }, 0)]
    [InlineData(new[] { 1, 1, 1 }, 0)]
    [InlineData(new[] { 4, 2, 3 }, 3)]
    public void Cached_states_equal_those_of_whole_sequences(int[] first, int second)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create();
        using var cache = model.NewCache(3, 64);
        var whole = SmallModel.Logits(model, s_rows, 12).view(3, 12, -1);
        Check(model, cache, whole, [0, 1, 2], first);
        if (second > 0)
            Check(model, cache, whole, [0, 1, 2], [second, second - 1, 1]);
        while (cache.Lengths.Min() < 12)
        {
            int[] rows = [.. Enumerable.Range(0, 3).Where(row => cache.Lengths[row] < 12)];
            Check(model, cache, whole, rows, [.. rows.Select(_ => 1)]);
        }
    }

    [Fact]
    public void Moved_and_cleared_rows_go_on_like_new_ones()
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create();
        using var cache = model.NewCache(3, 64);
        var whole = SmallModel.Logits(model, s_rows, 12).view(3, 12, -1);
        Check(model, cache, whole, [0, 1, 2], [6, 3, 8]);
        cache.Move(2, 0);
        Assert.Equal([8, 3, 0], cache.Lengths);
        var moved = whole.index_select(0, tensor(new long[] { 2, 1, 2 }));
        Check(model, cache, moved, [0, 1], [1, 1], rowIds: [2, 1]);
        cache.Clear(1);
        var again = whole.index_select(0, tensor(new long[] { 2, 0, 2 }));
        Check(model, cache, again, [1], [4], rowIds: [0]);
        Check(model, cache, again, [0, 1], [1, 1], rowIds: [2, 0]);
    }

    [Fact]
    public void Cache_grows_beyond_its_first_capacity_and_keeps_what_it_holds()
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var config = SmallModel.Config().Replace("\"max_position_embeddings\": 64", "\"max_position_embeddings\": 200", StringComparison.Ordinal);
        using var model = new ColossalChat.Models.Llama.LlamaFamily().Create(config, ScalarType.Float32, CPU, new ColossalChat.Contracts.RandomKey(1, ColossalChat.Contracts.RandomPurpose.Initialisation));
        using var cache = model.NewCache(2, 150);
        long[][] rows = [SmallModel.Ids(1, 150), SmallModel.Ids(2, 150)];
        var whole = SmallModel.Logits(model, rows, 150).view(2, 150, -1);
        Check(model, cache, whole, [0, 1], [60, 3], source: rows);
        for (var i = 0; i < 90; i++)
            Check(model, cache, whole, [0, 1], [1, 1], source: rows);
    }

    [Fact]
    public void Memory_is_taken_for_the_rows_that_come_and_what_they_hold_is_kept()
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create();
        using var cache = (KeyValueCache)model.NewCache(32, 64);
        long[][] rows = [.. Enumerable.Range(1, 6).Select(seed => SmallModel.Ids(seed, 12))];
        var whole = SmallModel.Logits(model, rows, 12).view(6, 12, -1);

        // 2 layers of keys and values, 64 tokens, 2 heads of size 8, 4 bytes each.
        const long OneRow = 2 * 2 * 64 * 2 * 8 * 4;
        Assert.Equal(OneRow, cache.Bytes);
        for (var row = 0; row < 6; row++)
        {
            Check(model, cache, whole, [row], [3], source: rows);
            Check(model, cache, whole, [.. Enumerable.Range(0, row + 1)], [.. Enumerable.Repeat(1, row + 1)], source: rows);
            Assert.InRange(cache.Bytes, (row + 1) * OneRow, (row + 1) * OneRow * 3 / 2);
        }

        Assert.Equal(32, cache.Rows);
    }

    [Fact]
    public void More_tokens_than_fit_are_refused()
    {
        using var model = SmallModel.Create();
        using var cache = model.NewCache(1, 4);
        Assert.Throws<ArgumentException>(() => cache.Plan(null, [5]));
    }

    [Fact]
    public void No_tensor_stays_behind_after_steps()
    {
        using var noGradient = no_grad();
        using var model = SmallModel.Create();
        LiveTensors.StayConstant(
            () =>
            {
                using var cache = model.NewCache(3, 64);
                Run(model, cache, s_rows, [0, 1, 2], [5, 1, 9]).Dispose();
                Run(model, cache, s_rows, [0, 2], [1, 1]).Dispose();
                Run(model, cache, s_rows, [0, 1], [2, 1]).Dispose();
            },
            50);
    }

    private static void Check(ICausalModel model, IKeyValueCache cache, Tensor whole, int[] rows, int[] lengths, int[]? rowIds = null, long[][]? source = null)
    {
        using var scope = NewDisposeScope();
        int[] before = [.. rows.Select(row => cache.Lengths[row])];
        var content = (source ?? s_rows).ToArray();
        if (rowIds is not null)
            for (var i = 0; i < rows.Length; i++)
                content[rows[i]] = s_rows[rowIds[i]];
        var logits = Run(model, cache, content, rows, lengths);
        for (var i = 0; i < rows.Length; i++)
        {
            var expected = whole[rows[i]].narrow(0, before[i], lengths[i]);
            Assert.InRange(SmallModel.MaxDistance(expected, logits[i].narrow(0, 0, lengths[i])), 0, 1e-4);
            Assert.Equal(before[i] + lengths[i], cache.Lengths[rows[i]]);
        }
    }

    private static Tensor Run(ICausalModel model, IKeyValueCache cache, long[][] content, int[] rows, int[] lengths)
    {
        using var scope = NewDisposeScope();
        var padded = lengths.Max();
        var ids = rows.SelectMany((row, i) => Enumerable.Range(0, padded).Select(t => t < lengths[i] ? content[row][cache.Lengths[row] + t] : 99L)).ToArray();
        using var step = cache.Plan(rows, lengths);
        var hidden = model.Embed(tensor(ids, [rows.Length, padded]));
        foreach (var block in model.Blocks)
            hidden = block.Forward(hidden, cache, step);
        cache.Advance(step);
        return model.LanguageHead.Forward(hidden.view(-1, model.Shape.HiddenSize)).view(rows.Length, padded, -1).MoveToOuterDisposeScope();
    }
}
