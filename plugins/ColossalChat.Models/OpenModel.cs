using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Generation;
using ColossalChat.Models.Llama;

namespace ColossalChat.Models;

/// <summary>A language model ready for use.</summary>
internal sealed class OpenModel(ICausalModel model, TextModel? text) : IOpenModel
{
    private readonly TextGenerator _generator = new(model, text?.Tokenizer);

    /// <inheritdoc/>
    public string Family => model.Shape.Family;

    /// <inheritdoc/>
    public long Parameters => model.AllParameters().Sum(slot => slot.Shape.Aggregate(1L, (product, size) => product * size));

    /// <inheritdoc/>
    public TextModel? Text { get; } = text;

    /// <inheritdoc/>
    public ITextGenerator Generator => _generator;

    /// <inheritdoc/>
    public ILanguageModel LanguageModel { get; } = new LanguageModel(model);

    /// <inheritdoc/>
    public void Dispose()
    {
        _generator.Dispose();
        model.Dispose();
    }
}
