using ColossalChat.Contracts;

namespace NoEntry;

// Not public: the host must not find it.
internal sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry)
    {
    }
}
