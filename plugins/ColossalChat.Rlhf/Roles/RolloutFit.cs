using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Rlhf;

/// <summary>Whether a model can read a rollout's ids as they stand.</summary>
internal static class RolloutFit
{
    /// <summary>
    /// Checks tokenizer and length. A judge that re-encodes from text could take another tokenizer; one that gives a
    /// number for every token of the policy cannot.
    /// </summary>
    /// <param name="model">The judging model, by its name in the <c>models</c> section.</param>
    /// <param name="rollout">What it is to read.</param>
    /// <exception cref="UserErrorException">The ids are another tokenizer's, or a row is longer than the model's context.</exception>
    public static void Require(IBorrowedModel model, Rollout rollout)
    {
        var (own, theirs) = (model.Text.Tokenizer.Hash, rollout.Prompts.TokenizerHash);
        if (own != theirs)
        {
            throw new UserErrorException(
                $"models.{model.Name} has the tokenizer {own}, but the rollout's ids are of tokenizer {theirs}; the same ids would be other words to it. "
                + $"Set models.{model.Name}.path to a model with the policy's tokenizer, such as the one that the policy began from.");
        }

        var context = model.Body.Shape.ContextLength;
        for (var row = 0; row < rollout.Rows; row++)
        {
            var length = rollout.Prompts.Tokens.LengthOf(row) + rollout.Tokens.LengthOf(row);
            if (length > context)
            {
                throw new UserErrorException(
                    $"models.{model.Name} takes {context} tokens, but row {row} of batch {rollout.Prompts.Batch} has {length} (prompt and answer). "
                    + $"Give models.{model.Name} a context as long as the policy's, or lower max-prompt-tokens or max-new-tokens.");
            }
        }
    }
}
