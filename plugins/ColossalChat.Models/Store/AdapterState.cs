using ColossalChat.Contracts.Torch;

namespace ColossalChat.Models.Store;

/// <summary>Holds an adapter on or off; disposing brings back what was before.</summary>
internal sealed class AdapterState : IDisposable
{
    private readonly IAttachedAdapter? _adapter;
    private readonly bool _before;

    /// <summary>Sets the state; null is no adapter and does nothing.</summary>
    public AdapterState(IAttachedAdapter? adapter, bool enabled)
    {
        _adapter = adapter;
        if (adapter is null)
            return;
        _before = adapter.Enabled;
        if (_before != enabled)
            adapter.Enabled = enabled;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_adapter is not null && _adapter.Enabled != _before)
            _adapter.Enabled = _before;
    }
}
