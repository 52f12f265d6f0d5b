using ColossalChat.Contracts;

namespace ThrowsWhileRegistering;

public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry) => throw new InvalidOperationException("the moon is in the wrong house");
}
