using ColossalChat.Contracts;

namespace ForeignSeam;

public interface IMine;

public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry) =>
        registry.Add<IMine, NoOptions>("mine", (_, _) => throw new NotSupportedException());
}
