using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Generation;
using ColossalChat.Models.Llama;
using ColossalChat.Models.Store;
using ColossalChat.Models.Verbs;

namespace ColossalChat.Models;

/// <summary>Decoder families, model folders, the node's models, generation, and the verbs that use them.</summary>
public sealed class ModelsPlugin : IPlugin
{
    private const string StoreName = "models";

    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        registry.Add<IModelFamily, NoOptions>(LlamaFamily.Name, (_, _) => new LlamaFamily());
        registry.Add<IModelFormat, NoOptions>("hugging-face", (_, context) => new HuggingFaceFormat(context));
        registry.Add<ITextGeneratorFactory, NoOptions>("batched", (_, _) => new TextGeneratorFactory());
        registry.AddShared<IModelStore, ModelStoreOptions>(StoreName, (options, context) => new ModelStore(options, context));
        // The same object under its other face: the store was made from the run's models section before.
        registry.AddShared<IModelCatalog, NoOptions>(StoreName, (_, context) => (IModelCatalog)context.Resolve<IModelStore>(StoreName));
        registry.Add<ICliCommand, NoOptions>("generate", (_, _) => new GenerateCommand());
        registry.Add<ICliCommand, NoOptions>("eval-perplexity", (_, _) => new PerplexityCommand());
        registry.Add<ICliCommand, NoOptions>("model-info", (_, _) => new ModelInfoCommand());
        registry.Add<ICliCommand, NoOptions>("model-logits", (_, _) => new LogitsCommand());
        registry.Add<ICliCommand, NoOptions>("model-export", (_, _) => new ModelExportCommand());
        registry.Add<ICliCommand, NoOptions>("model-verify", (_, _) => new ModelVerifyCommand());
    }
}
