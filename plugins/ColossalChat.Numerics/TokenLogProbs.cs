using ColossalChat.Numerics.Kernels;
using static TorchSharp.torch;

namespace ColossalChat.Numerics;

// N = positions, V = vocabulary.

/// <summary>What a language head says about given tokens. The caller disposes it.</summary>
/// <param name="LogProbs">[N] float32, nats, of each target; carries the gradient when the logits do.</param>
/// <param name="Entropy">[N] float32, nats; null when not asked for. No gradient unless asked for.</param>
/// <param name="IsArgmax">[N] bool, true where no token is likelier than the target; null when not asked for.</param>
public sealed record TokenScores(Tensor LogProbs, Tensor? Entropy, Tensor? IsArgmax) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        LogProbs.Dispose();
        Entropy?.Dispose();
        IsArgmax?.Dispose();
    }
}

/// <summary>Which numbers besides log-probabilities are wanted.</summary>
[Flags]
public enum TokenScoreParts
{
    /// <summary>Log-probabilities only.</summary>
    None = 0,

    /// <summary>Entropy, without a gradient.</summary>
    Entropy = 1,

    /// <summary>Whether the target is the likeliest token.</summary>
    Argmax = 2,

    /// <summary>Entropy that carries a gradient.</summary>
    DifferentiableEntropy = 4,
}

/// <summary>
/// Log-probabilities and entropies from logits, in pieces. Without gradients only one piece's intermediate results exist
/// at a time, so big vocabularies need little extra memory. With gradients every piece's [n, V] soft-max stays alive until
/// the backward pass, and pieces save nothing.
/// </summary>
public static class TokenLogProbs
{
    /// <summary>Logits handled at once unless told otherwise: 64 MB as float32.</summary>
    public const long DefaultElementsPerPiece = 16L << 20;

    /// <summary>
    /// Scores targets. Sums run in float32 whatever the logits' type. The result belongs to the caller's dispose scope;
    /// no input is disposed.
    /// </summary>
    /// <param name="logits">[N, V], any floating type.</param>
    /// <param name="targets">[N] int64, from 0 to below V.</param>
    /// <param name="temperature">Logits are divided by it, once, here. Above 0.</param>
    /// <param name="parts">What else is wanted.</param>
    /// <param name="elementsPerPiece">Most logits handled at once; results do not depend on it.</param>
    public static TokenScores Compute(
        Tensor logits,
        Tensor targets,
        double temperature = 1,
        TokenScoreParts parts = TokenScoreParts.None,
        long elementsPerPiece = DefaultElementsPerPiece)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(temperature);
        if (HostRows.CanOpen(logits) && !parts.HasFlag(TokenScoreParts.DifferentiableEntropy))
            return TokenScoring.Of(logits, targets, temperature, parts);
        using var scope = NewDisposeScope();
        var (positions, vocabulary) = (logits.shape[0], logits.shape[1]);
        var rows = Math.Max(1, elementsPerPiece / Math.Max(1, vocabulary));
        if (positions <= rows)
            return MoveOut(Piece(logits, targets, temperature, parts));

        var pieces = new List<TokenScores>();
        for (var start = 0L; start < positions; start += rows)
        {
            using var pieceScope = NewDisposeScope();
            var length = Math.Min(rows, positions - start);
            pieces.Add(MoveOut(Piece(logits.narrow(0, start, length), targets.narrow(0, start, length), temperature, parts)));
        }

        return MoveOut(new TokenScores(
            cat(pieces.Select(piece => piece.LogProbs).ToArray()),
            pieces[0].Entropy is null ? null : cat(pieces.Select(piece => piece.Entropy!).ToArray()),
            pieces[0].IsArgmax is null ? null : cat(pieces.Select(piece => piece.IsArgmax!).ToArray())));
    }

    private static TokenScores Piece(Tensor logits, Tensor targets, double temperature, TokenScoreParts parts)
    {
        var scaled = logits.to(float32);                                                      // [N, V]
        if (temperature != 1)
            scaled = scaled / temperature;
        var all = scaled.log_softmax(-1);                                                     // [N, V] nats
        var chosen = all.gather(1, targets.unsqueeze(1)).squeeze(1);                          // [N]
        var entropy = parts.HasFlag(TokenScoreParts.DifferentiableEntropy) ? EntropyOf(all) : null;
        using var noGrad = no_grad();
        if (parts.HasFlag(TokenScoreParts.Entropy))
            entropy ??= EntropyOf(all.detach());
        var isArgmax = parts.HasFlag(TokenScoreParts.Argmax)
            ? chosen.detach().ge(all.detach().amax([-1]))
            : null;
        return new TokenScores(chosen, entropy, isArgmax);
    }

    // A token of probability 0 has log-probability -inf; 0 * -inf would be NaN.
    private static Tensor EntropyOf(Tensor all) => -(all.exp() * all.clamp_min(-1e30)).sum(-1);

    private static TokenScores MoveOut(TokenScores scores)
    {
        scores.LogProbs.MoveToOuterDisposeScope();
        scores.Entropy?.MoveToOuterDisposeScope();
        scores.IsArgmax?.MoveToOuterDisposeScope();
        return scores;
    }
}
