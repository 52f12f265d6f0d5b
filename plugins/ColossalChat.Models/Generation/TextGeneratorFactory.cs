using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Models.Generation;

/// <summary>Makes generators over models that are in memory already.</summary>
internal sealed class TextGeneratorFactory : ITextGeneratorFactory
{
    /// <inheritdoc/>
    public ITextGenerator Create(ICausalModel model, ITokenizer? tokenizer) => new TextGenerator(model, tokenizer);
}
