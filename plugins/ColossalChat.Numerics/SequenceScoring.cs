using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Numerics;

// B = sequences, T = tokens of the longest, H = hidden size, V = vocabulary, N = head positions.

/// <summary>Judges given sequences with a model, without gradients. Callers hold the device and activate the loan.</summary>
public static class SequenceScoring
{
    /// <summary>Hidden states at the head positions of a micro-batch; with gradients where grad mode is on.</summary>
    /// <returns>[N, H].</returns>
    public static Tensor HiddenAtHead(ICausalModel body, MicroBatch batch)
    {
        using var scope = NewDisposeScope();
        var hidden = body.Embed(batch.TokenIds);                                              // [B, T, H]
        foreach (var block in body.Blocks)
            hidden = block.Forward(hidden, batch.Layout);                                     // [B, T, H]
        return hidden.flatten(0, 1).index_select(0, batch.HeadPositions).MoveToOuterDisposeScope();
    }

    /// <summary>Log-probability in nats of every target token, in row order.</summary>
    /// <param name="body">A decoder with its language head.</param>
    /// <param name="sequences">Rows; columns are not needed.</param>
    /// <param name="temperature">Logits are divided by it. Above 0.</param>
    /// <param name="microBatchTokens">Most padded tokens in one forward pass.</param>
    /// <param name="cancel">Checked between forward passes.</param>
    public static float[] LogProbs(
        ICausalModel body,
        Experience sequences,
        double temperature,
        int microBatchTokens,
        CancellationToken cancel) =>
        Run(body, sequences, new MicroBatchCut { Tokens = microBatchTokens }, (hidden, batch) =>
        {
            // Head and soft-max go piece by piece, so the logits of a whole micro-batch never exist at once.
            var rows = Math.Max(1, TokenLogProbs.DefaultElementsPerPiece / body.Shape.VocabularySize);
            var result = new List<float>();
            for (var start = 0L; start < hidden.shape[0]; start += rows)
            {
                using var scope = NewDisposeScope();
                var count = Math.Min(rows, hidden.shape[0] - start);
                var logits = body.LanguageHead.Forward(hidden.narrow(0, start, count));       // [n, V]
                result.AddRange(TensorData.ToFloats(
                    TokenLogProbs.Compute(logits, batch.Targets.narrow(0, start, count), temperature).LogProbs));
            }

            return result;
        }, cancel);

    /// <summary>What a value head says at every head position, in row order; reward units.</summary>
    /// <param name="body">A decoder.</param>
    /// <param name="head">Its value head.</param>
    /// <param name="sequences">Rows; columns are not needed.</param>
    /// <param name="placement">Before every target, or at the last token of every row.</param>
    /// <param name="microBatchTokens">Most padded tokens in one forward pass.</param>
    /// <param name="cancel">Checked between forward passes.</param>
    public static float[] Values(
        ICausalModel body,
        IOutputHead head,
        Experience sequences,
        HeadPlacement placement,
        int microBatchTokens,
        CancellationToken cancel) =>
        Run(
            body,
            sequences,
            new MicroBatchCut { Placement = placement, Tokens = microBatchTokens },
            (hidden, _) => TensorData.ToFloats(head.Forward(hidden)),
            cancel);

    /// <summary>A rollout's sequences with its response tokens as targets.</summary>
    public static Experience ResponsesOf(Rollout rollout)
    {
        var isTarget = Enumerable.Range(0, rollout.Rows).Select(row =>
        {
            var prompt = rollout.Prompts.Tokens.LengthOf(row);
            var flags = new bool[prompt + rollout.Tokens.LengthOf(row)];
            flags.AsSpan(prompt).Fill(true);
            return flags;
        });
        return new Experience(rollout.Sequences(), Ragged.FromRows(isTarget), new Dictionary<string, Ragged<float>>());
    }

    private static float[] Run(
        ICausalModel body,
        Experience sequences,
        MicroBatchCut cut,
        Func<Tensor, MicroBatch, IReadOnlyList<float>> read,
        CancellationToken cancel)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var result = new List<float>();
        foreach (var batch in MicroBatches.Build(sequences, cut, body.Device))
        {
            cancel.ThrowIfCancellationRequested();
            using var batchScope = NewDisposeScope();
            result.AddRange(read(HiddenAtHead(body, batch), batch));
            batch.Dispose();
        }

        return [.. result];
    }
}
