using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Llama;

namespace ColossalChat.Models;

/// <summary>Decoder families, model folders, the node's models, generation, and the verbs that use them.</summary>
public sealed class ModelsPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        registry.Add<IModelFamily, NoOptions>(LlamaFamily.Name, (_, _) => new LlamaFamily());
        registry.Add<IModelFormat, NoOptions>("hugging-face", (_, context) => new HuggingFaceFormat(context));
    }
}
