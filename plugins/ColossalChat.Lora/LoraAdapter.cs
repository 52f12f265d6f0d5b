using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Lora;

/// <summary>Attaches low-rank adapters to the linear layers that its options name.</summary>
internal sealed class LoraAdapter(LoraOptions options) : IModelAdapter
{
    /// <inheritdoc/>
    public IAttachedAdapter Attach(ICausalModel model, INodeContext context) =>
        new AttachedLora(options, model, TargetPattern.Choose(model, options.TargetPatterns), context.Seed);
}
