namespace ColossalChat.Contracts.Torch;

/// <summary>
/// Makes a text generator over a model that is in memory already, whatever brought it there. Registered as
/// <c>batched</c>: rows are added and removed at every token.
/// </summary>
public interface ITextGeneratorFactory
{
    /// <summary>A generator over a model; it borrows the model and is disposed with it, before it.</summary>
    /// <param name="model">The decoder; its language head writes.</param>
    /// <param name="tokenizer">Turns ids into text; null leaves texts empty.</param>
    ITextGenerator Create(ICausalModel model, ITokenizer? tokenizer);
}
