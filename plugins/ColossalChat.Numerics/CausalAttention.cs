using ColossalChat.Numerics.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace ColossalChat.Numerics;

// B = rows, T = tokens, K = key-value heads, G = query heads that share one of them, Q = K x G, D = head size, N = B x K.

/// <summary>
/// Causal attention with a gradient. In bfloat16 in host memory, block by block of queries: products of all heads at once,
/// soft-max in place between them, and keys after a block never touched. Like flash attention (Dao et al.,
/// arXiv 2205.14135) it keeps one number a row for backward and builds the probabilities again.
/// </summary>
public sealed class CausalAttention : autograd.SingleTensorFunction<CausalAttention>
{
    // Long enough for fast products, short enough that most keys out of sight of long sequences are left out (measured:
    // two blocks of 128 are no faster than one of 256).
    private const int BlockLength = 256;

    /// <inheritdoc/>
    public override string Name => nameof(CausalAttention);

    /// <summary>Every token attends to itself and those before it. The result belongs to the caller's dispose scope.</summary>
    /// <param name="query">[B, T, Q, D].</param>
    /// <param name="key">[B, T, K, D]; K divides Q.</param>
    /// <param name="value">[B, T, K, D].</param>
    /// <returns>[B, T, Q, D].</returns>
    public static Tensor Of(Tensor query, Tensor key, Tensor value)
    {
        if (query.device_type != DeviceType.CPU || query.dtype != ScalarType.BFloat16)
            return Composed(query, key, value);
        using var scope = NewDisposeScope();
        var output = Fused.Wants(query, key, value) ? apply(query, key, value) : Forward(Heads.Of(query, key, value)).Output;
        return output.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        // What is saved is taken after this returns: it lives in the scope of the call.
        var heads = Heads.Of((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        var (output, logSums) = Forward(heads);
        ctx.save_for_backward([heads.Query, heads.Key, heads.Value, logSums]);
        ctx.save_data("rows", output.shape[0]);
        return output;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var heads = new Heads((long)ctx.get_data("rows"), saved[0], saved[1], saved[2]);
        var (query, key, value) = Backward(heads, saved[3], heads.QueriesFirst(grad_output));
        return [query.MoveToOuterDisposeScope(), key.MoveToOuterDisposeScope(), value.MoveToOuterDisposeScope()];
    }

    private static (Tensor Output, Tensor LogSums) Forward(Heads heads)
    {
        Tensor? output = null;
        var logSums = empty([heads.Query.numel() / heads.Size], float32);
        foreach (var block in heads.Blocks(BlockLength))
        {
            using var scope = NewDisposeScope();
            var scores = heads.Rows(heads.Query, block).bmm(Heads.Seen(heads.Key, block).transpose(1, 2));
            CausalSoftmaxKernel.Forward(scores, heads.Sums(logSums, block), block);
            output = heads.Put(scores.bmm(Heads.Seen(heads.Value, block)), output, block);
        }

        return (heads.TokensFirst(output!), logSums);
    }

    private static (Tensor Query, Tensor Key, Tensor Value) Backward(Heads heads, Tensor logSums, Tensor gradient)
    {
        // Several blocks add to a key's gradient; the last one sees all keys, so it goes first and sets what the others add to.
        Tensor? query = null, key = null, value = null;
        foreach (var block in heads.Blocks(BlockLength).Reverse())
        {
            using var scope = NewDisposeScope();
            var (queries, slopes) = (heads.Rows(heads.Query, block), heads.Rows(gradient, block));
            var (keys, values) = (Heads.Seen(heads.Key, block), Heads.Seen(heads.Value, block));
            var probabilities = queries.bmm(keys.transpose(1, 2));
            var scores = slopes.bmm(values.transpose(1, 2));
            CausalSoftmaxKernel.Backward(probabilities, scores, heads.Sums(logSums, block), block);
            value = Sum(value, probabilities.transpose(1, 2).bmm(slopes), block);
            key = Sum(key, scores.transpose(1, 2).bmm(queries), block);
            query = heads.Put(scores.bmm(keys), query, block);
        }

        var type = heads.Key.dtype;
        return (heads.TokensFirst(query!), heads.TokensFirst(key!.to(type)), heads.TokensFirst(value!.to(type)));
    }

    // The first of several blocks makes the sum float32, because small contributions would be lost in it.
    private static Tensor Sum(Tensor? sum, Tensor part, QueryBlock block)
    {
        if (sum is null)
            return (block.Start == 0 ? part : part.to(float32)).MoveToOuterDisposeScope();
        Heads.Seen(sum, block).add_(part);
        return sum;
    }

    private static Tensor Composed(Tensor query, Tensor key, Tensor value)
    {
        using var scope = NewDisposeScope();
        var groups = query.shape[2] / key.shape[2];
        var attended = nn.functional.scaled_dot_product_attention(
            query.transpose(1, 2), Repeat(key.transpose(1, 2), groups), Repeat(value.transpose(1, 2), groups), is_casual: true);
        return attended.transpose(1, 2).MoveToOuterDisposeScope();
    }

    /// <summary>[B, K, T, D] to [B, Q, T, D].</summary>
    private static Tensor Repeat(Tensor heads, long groups)
    {
        if (groups == 1)
            return heads;
        var s = heads.shape;
        return heads.unsqueeze(2).expand(s[0], s[1], groups, s[2], s[3]).reshape(s[0], s[1] * groups, s[2], s[3]);
    }

    // Query [N, G, T, D], key and value [N, T, D], each contiguous: the G queries of a key-value head stand behind each
    // other like tokens, so that keys are never repeated.
    private sealed record Heads(long BatchRows, Tensor Query, Tensor Key, Tensor Value)
    {
        public long Size => Query.shape[3];

        private long Groups => Query.shape[1];

        private long Tokens => Query.shape[2];

        private long Both => Key.shape[0];

        private long KeyHeads => Both / BatchRows;

        public static Heads Of(Tensor query, Tensor key, Tensor value)
        {
            var (s, keyHeads) = (query.shape, key.shape[2]);
            var keys = key.transpose(1, 2).reshape(s[0] * keyHeads, s[1], s[3]);
            var values = value.transpose(1, 2).reshape(s[0] * keyHeads, s[1], s[3]);
            return new Heads(s[0], QueriesFirst(query, keyHeads), keys, values);
        }

        public Tensor QueriesFirst(Tensor tokensFirst) => QueriesFirst(tokensFirst, KeyHeads);

        /// <summary>[N, T, D] or [N, G, T, D] to [B, T, K or Q, D].</summary>
        public Tensor TokensFirst(Tensor heads) => heads.view(BatchRows, -1, Tokens, Size).transpose(1, 2).contiguous();

        public IEnumerable<QueryBlock> Blocks(int length)
        {
            var scale = (float)(1 / Math.Sqrt(Size));
            for (var start = 0; start < Tokens; start += length)
                yield return new QueryBlock(start, (int)Math.Min(length, Tokens - start), scale);
        }

        /// <summary>[N, G, T, D] to the block's [N, G x length, D].</summary>
        public Tensor Rows(Tensor queries, QueryBlock block) =>
            queries.narrow(2, block.Start, block.Length).reshape(Both, Groups * block.Length, Size);

        /// <summary>What the block's last query sees of [N, T, D].</summary>
        public static Tensor Seen(Tensor keys, QueryBlock block) => keys.narrow(1, 0, block.Start + block.Length);

        public Tensor Sums(Tensor logSums, QueryBlock block) =>
            logSums.narrow(0, Both * Groups * block.Start, Both * Groups * block.Length);

        /// <summary>A block's rows go to where its queries are; those of the only block are all there is.</summary>
        /// <param name="rows">[N, G x length, D].</param>
        /// <param name="queries">What came of other blocks; null for the first.</param>
        /// <param name="block">Whose rows they are.</param>
        /// <returns>[N, G, T, D] in the outer dispose scope.</returns>
        public Tensor Put(Tensor rows, Tensor? queries, QueryBlock block)
        {
            var part = rows.view(Both, Groups, block.Length, Size);
            if (block.Length == Tokens)
                return part.MoveToOuterDisposeScope();
            var all = queries ?? empty_like(Query).MoveToOuterDisposeScope();
            all.narrow(2, block.Start, block.Length).copy_(part);
            return all;
        }

        private static Tensor QueriesFirst(Tensor query, long keyHeads)
        {
            var s = query.shape;
            var groups = s[2] / keyHeads;
            return query.view(s[0], s[1], keyHeads, groups, s[3]).permute(0, 2, 3, 1, 4).reshape(s[0] * keyHeads, groups, s[1], s[3]);
        }
    }
}
