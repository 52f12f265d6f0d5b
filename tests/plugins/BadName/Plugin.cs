using ColossalChat.Contracts;

namespace BadName;

public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry)
    {
        try
        {
            registry.Add<IScoringRole, NoOptions>("Bad_Name", (_, _) => throw new NotSupportedException());
        }
        catch (Exception)
        {
            // Hiding the refusal must not help.
            return;
        }
    }
}
