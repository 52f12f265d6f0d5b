using ColossalChat.Contracts;

namespace OptionsThatThrow;

public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry) =>
        registry.Add<IScoringRole, Options>("throwing-options", (_, _) => throw new NotSupportedException());
}

public sealed record Options
{
    public Options() => throw new InvalidOperationException("no defaults here");
}
