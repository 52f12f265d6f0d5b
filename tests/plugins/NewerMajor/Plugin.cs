using ColossalChat.Contracts;

namespace NewerMajor;

public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry) => registry.Add<IScoringRole, Options>("never", (_, _) => null!);
}

public sealed class Options;
