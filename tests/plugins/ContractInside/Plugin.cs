using ColossalChat.Contracts;

namespace ContractInside;

public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry)
    {
    }
}
