using ColossalChat.Contracts;

namespace SameFactory;

public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry) =>
        registry.Add<IScoringRole, NoOptions>("sample-reward", (_, _) => throw new NotSupportedException());
}
