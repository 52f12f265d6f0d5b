using System.Runtime.InteropServices;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Models.Generation;

// B = rows of a chunk, T = its longest row, H = hidden size, N = head positions, V = vocabulary.

/// <summary>Log-probabilities of given ids; works in chunks of bounded memory.</summary>
/// <param name="model">The model.</param>
/// <param name="chunkTokens">Padded tokens of one forward pass; a longer row is a chunk of its own.</param>
/// <param name="chunkLogits">Logits of one pass of the head.</param>
internal sealed class LanguageModel(ICausalModel model, int chunkTokens = 8192, int chunkLogits = 16 << 20) : ILanguageModel
{
    /// <inheritdoc/>
    public int ContextLength => model.Shape.ContextLength;

    /// <inheritdoc/>
    public Ragged<float> LogProbs(Ragged<int> sequences, CancellationToken cancel)
    {
        IdCheck.Require(sequences.Values.Span, model.Shape.VocabularySize);
        var results = new float[sequences.Rows][];
        // Long rows first: rows of one chunk have similar lengths, so little is computed on pads.
        var order = Enumerable.Range(0, sequences.Rows).OrderByDescending(sequences.LengthOf).ToArray();
        for (var done = 0; done < order.Length;)
        {
            cancel.ThrowIfCancellationRequested();
            var longest = sequences.LengthOf(order[done]);
            if (longest > ContextLength)
                throw new UserErrorException($"A sequence has {longest} tokens; the model's context is {ContextLength}. Cut it first.");
            var count = Math.Min(order.Length - done, Math.Max(1, chunkTokens / Math.Max(1, longest)));
            Judge(sequences, order.AsSpan(done, count), results);
            done += count;
        }

        return Ragged.FromRows(results);
    }

    /// <inheritdoc/>
    public float[] NextLogProbs(ReadOnlyMemory<int> ids, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        if (ids.Length == 0 || ids.Length > ContextLength)
            throw new UserErrorException($"There are {ids.Length} ids; there must be from 1 to {ContextLength}, the model's context.");
        IdCheck.Require(ids.Span, model.Shape.VocabularySize);
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var states = Body([ids]);
        var logits = model.LanguageHead.Forward(states.narrow(0, ids.Length - 1, 1)).to(ScalarType.Float32);
        return MemoryMarshal.Cast<byte, float>(nn.functional.log_softmax(logits, -1).cpu().contiguous().bytes).ToArray();
    }

    private void Judge(Ragged<int> sequences, ReadOnlySpan<int> rows, float[][] results)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var tokens = rows.ToArray().Select(row => sequences[row]).ToArray();
        var longest = tokens.Max(row => row.Length);
        foreach (var row in rows)
            results[row] = new float[Math.Max(0, sequences.LengthOf(row) - 1)];
        if (longest < 2)
            return;
        var states = Body(tokens);
        var positions = tokens.SelectMany((row, i) => Enumerable.Range(0, Math.Max(0, row.Length - 1)).Select(t => ((long)i * longest) + t)).ToArray();
        var targets = tokens.SelectMany(row => row.ToArray().Skip(1).Select(id => (long)id)).ToArray();
        var logProbs = Head(states, positions, targets);
        var read = 0;
        foreach (var row in rows)
        {
            logProbs.AsSpan(read, results[row].Length).CopyTo(results[row]);
            read += results[row].Length;
        }
    }

    /// <summary>[B x T, H] states after the last block.</summary>
    private Tensor Body(ReadOnlyMemory<int>[] rows)
    {
        var padded = rows.Max(row => row.Length);
        var ids = new long[rows.Length * padded];
        for (var i = 0; i < rows.Length; i++)
            for (var t = 0; t < rows[i].Length; t++)
                ids[(i * padded) + t] = rows[i].Span[t];
        var layout = new SequenceLayout([.. rows.Select(row => Math.Max(1, row.Length))], padded);
        var hidden = model.Embed(tensor(ids, [rows.Length, padded], device: model.Device));
        foreach (var block in model.Blocks)
        {
            var next = block.Forward(hidden, layout);
            hidden.Dispose();
            hidden = next;
        }

        return hidden.view(-1, model.Shape.HiddenSize);
    }

    private float[] Head(Tensor states, long[] positions, long[] targets)
    {
        var results = new float[positions.Length];
        var piece = Math.Max(1, chunkLogits / model.Shape.VocabularySize);
        for (var done = 0; done < positions.Length; done += piece)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(piece, positions.Length - done);
            var at = tensor(positions[done..(done + count)], device: model.Device);
            var target = tensor(targets[done..(done + count)], device: model.Device).unsqueeze(1);
            var logits = model.LanguageHead.Forward(states.index_select(0, at)).to(ScalarType.Float32);
            var logProbs = logits.gather(1, target).squeeze(1) - logits.logsumexp(-1);
            MemoryMarshal.Cast<byte, float>(logProbs.cpu().contiguous().bytes).CopyTo(results.AsSpan(done));
        }

        return results;
    }
}
