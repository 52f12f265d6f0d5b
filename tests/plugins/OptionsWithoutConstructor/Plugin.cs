using ColossalChat.Contracts;

namespace OptionsWithoutConstructor;

public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry) => registry.Add<IScoringRole, Options>("never", (_, _) => null!);
}

public sealed class Options(string needed)
{
    public string Needed => needed;
}
