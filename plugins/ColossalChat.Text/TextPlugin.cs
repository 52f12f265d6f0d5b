using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Tokenizers, chat templates, datasets, and the roles and verbs that read them.</summary>
public sealed class TextPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        registry.Add<ITokenizerFormat, NoOptions>("sentencepiece", (_, node) => new SentencePieceFormat(new TemplateFinder(node)));
        registry.Add<ITokenizerFormat, NoOptions>("byte-level-bpe", (_, node) => new ByteLevelBpeFormat(new TemplateFinder(node)));
        registry.Add<ITokenizerFormat, NoOptions>("tokenizer-json", (_, node) => new TokenizerJsonFormat(new TemplateFinder(node)));

        registry.Add<IChatTemplateFactory, NoOptions>("chatml", (_, _) => new ChatTemplateFactory(tokenizer => new ChatMlTemplate(tokenizer)));
        registry.Add<IChatTemplateFactory, NoOptions>("llama2", (_, _) => new ChatTemplateFactory(tokenizer => new Llama2Template(tokenizer)));
        registry.Add<IChatTemplateFactory, NoOptions>("alpaca", (_, _) => new ChatTemplateFactory(tokenizer => new AlpacaTemplate(tokenizer)));
        registry.Add<IChatTemplateFactory, NoOptions>("plain", (_, _) => new ChatTemplateFactory(tokenizer => new PlainTemplate(tokenizer)));

        registry.Add<IDataset, FileDatasetOptions>("files", (options, _) => FileDataset.Load(options.Files, options.Format, options.OnBadRow));
        registry.Add<IPromptSource, PromptSourceOptions>("prompt-source", PromptSource.Create);
        registry.Add<IBatchSource, SftBatchOptions>("sft-batches", FileBatchSource.OfAnswers);
        registry.Add<IBatchSource, PreferenceBatchOptions>("preference-batches", FileBatchSource.OfPairs);

        registry.Add<ICliCommand, NoOptions>("data-inspect", (_, _) => new DataInspectCommand());
        registry.Add<ICliCommand, NoOptions>("data-preview", (_, _) => new DataPreviewCommand());
        registry.Add<ICliCommand, NoOptions>("data-stats", (_, _) => new DataStatsCommand());
    }
}
