using ColossalChat.Contracts.Torch;

namespace ColossalChat.Models.Heads;

/// <summary>A body that judges.</summary>
internal sealed class ValueModel(ICausalModel body, ValueHead head) : IValueModel
{
    /// <inheritdoc/>
    public ICausalModel Body { get; } = body;

    /// <inheritdoc/>
    public IOutputHead ValueHead { get; } = head;

    /// <inheritdoc/>
    public void Dispose()
    {
        head.Weight.Value.Dispose();
        head.Bias.Value.Dispose();
        Body.Dispose();
    }
}
