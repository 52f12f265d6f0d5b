using System.Runtime.InteropServices;
using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Models.Generation;

// N = rows, V = vocabulary.

/// <summary>
/// Draws next tokens. The heavy part (softmax over the vocabulary) is one tensor operation for all rows; choosing works on
/// the raw memory of the result.
/// </summary>
internal static class TokenSampler
{
    /// <summary>Gives each answer its next token.</summary>
    /// <param name="logits">[N, V], any element type.</param>
    /// <param name="answers">N answers.</param>
    public static void Draw(Tensor logits, IReadOnlyList<Answer> answers)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var vocabulary = (int)logits.shape[1];
        var plain = logits.to(ScalarType.Float32).cpu().contiguous();
        var changed = Change(plain, answers, vocabulary);
        var logProbs = nn.functional.log_softmax(changed, -1);
        RequireNumbers(logProbs);
        var buffer = new CandidateBuffer();
        for (var i = 0; i < answers.Count; i++)
        {
            // Not one tensor's span for all: 32 rows of a large vocabulary are fine, but a span ends at 2 GB.
            using var row = logProbs.select(0, i);
            var values = MemoryMarshal.Cast<byte, float>(row.bytes);
            var (id, logProb) = answers[i].Sampling.Temperature == 0
                ? Likeliest(values)
                : Sample(values, answers[i].Sampling, answers[i].NextUniform, buffer);
            if (answers[i].Sampling.Temperature == 0 && answers[i].Present is not null)
                logProb = UnmodifiedLogProb(plain, i, id);
            answers[i].Accept(id, logProb);
        }
    }

    // Before anything is chosen: filters compare, and no comparison with NaN ends what it should.
    private static void RequireNumbers(Tensor logProbs)
    {
        var isNone = logProbs.isnan().any(1);
        if (!isNone.any().item<bool>())
            return;
        var row = isNone.to(ScalarType.Int32).argmax().item<long>();
        throw NotNumbers($"of answer {row + 1} of the {logProbs.shape[0]} being written");
    }

    /// <summary>What is said of a distribution with NaN in it.</summary>
    /// <param name="which">Whose logits.</param>
    public static InvalidOperationException NotNumbers(string which) => new(
        $"The model's logits {which} are not numbers (NaN or infinite), so no token can be drawn. "
        + "Its weights or its precision are at fault: check the folder with model verify, or load it as float32.");

    private static Tensor Change(Tensor plain, IReadOnlyList<Answer> answers, int vocabulary)
    {
        if (answers.Any(answer => answer.Present is not null))
        {
            plain = plain.clone();
            for (var i = 0; i < answers.Count; i++)
                if (answers[i].Present is { } present)
                {
                    using var row = plain.select(0, i);
                    Penalise(MemoryMarshal.Cast<byte, float>(row.bytes), present, (float)answers[i].Sampling.RepetitionPenalty);
                }
        }

        if (answers.All(answer => answer.Sampling.Temperature is 0 or 1))
            return plain;
        var divisors = answers.Select(answer => answer.Sampling.Temperature == 0 ? 1 : (float)answer.Sampling.Temperature).ToArray();
        return plain / tensor(divisors, [answers.Count, 1]);
    }

    private static void Penalise(Span<float> logits, IReadOnlySet<int> present, float penalty)
    {
        foreach (var id in present)
            logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
    }

    private static float UnmodifiedLogProb(Tensor plain, int row, int id)
    {
        using var scope = NewDisposeScope();
        var logits = plain.select(0, row);
        return MemoryMarshal.Cast<byte, float>(logits.bytes)[id] - logits.logsumexp(-1).item<float>();
    }

    private static (int Id, float LogProb) Likeliest(ReadOnlySpan<float> logProbs)
    {
        var best = 0;
        for (var i = 1; i < logProbs.Length; i++)
            if (logProbs[i] > logProbs[best])
                best = i;
        return (best, logProbs[best]);
    }

    /// <summary>
    /// Draws from the distribution that the settings leave; the log-probability is that of exactly this distribution.
    /// </summary>
    /// <param name="logProbs">[V], after repetition penalty and temperature.</param>
    /// <param name="sampling">Filters: top-k, top-p, min-p, in this order.</param>
    /// <param name="uniform">In [0, 1).</param>
    /// <param name="buffer">Scratch memory.</param>
    public static (int Id, float LogProb) Sample(ReadOnlySpan<float> logProbs, SamplingOptions sampling, double uniform, CandidateBuffer buffer)
    {
        var isFiltered = (sampling.TopK > 0 && sampling.TopK < logProbs.Length) || sampling.TopP < 1 || sampling.MinP > 0;
        if (!isFiltered)
            return Whole(logProbs, uniform, buffer);
        buffer.Filter(logProbs, sampling);
        double total = 0;
        for (var i = 0; i < buffer.Count; i++)
            total += Math.Exp(logProbs[buffer.IdAt(i)]);
        var (reached, target) = (0.0, uniform * total);
        var chosen = buffer.IdAt(0);
        for (var i = 0; i < buffer.Count; i++)
        {
            chosen = buffer.IdAt(i);
            reached += Math.Exp(logProbs[chosen]);
            if (reached > target)
                break;
        }

        return (chosen, (float)(logProbs[chosen] - Math.Log(total)));
    }

    private static (int Id, float LogProb) Whole(ReadOnlySpan<float> logProbs, double uniform, CandidateBuffer buffer)
    {
        var probabilities = buffer.Exponentials(logProbs);
        double total = 0;
        foreach (var probability in probabilities)
            total += probability;
        var (reached, target, chosen) = (0.0, uniform * total, -1);
        for (var i = 0; i < probabilities.Length; i++)
        {
            if (probabilities[i] > 0)
                chosen = i;
            reached += probabilities[i];
            if (reached > target)
                break;
        }

        return chosen < 0 ? throw NotNumbers("after repetition penalty and temperature") : (chosen, logProbs[chosen]);
    }
}
