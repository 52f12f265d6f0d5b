using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Lora;

/// <summary>Attaches low-rank adapters to the linear layers that its options name.</summary>
internal sealed class LoraAdapter(LoraOptions options) : IModelAdapter
{
    /// <inheritdoc/>
    public IAttachedAdapter Attach(ICausalModel model, INodeContext context)
    {
        var sites = TargetPattern.Choose(model, options.TargetPatterns);
        var attached = new AttachedLora(options, model, sites, context.Seed);
        if (options.Path.Length == 0)
            return attached;
        try
        {
            attached.Load(options.Path);
            return attached;
        }
        catch
        {
            attached.Dispose();
            throw;
        }
    }
}
