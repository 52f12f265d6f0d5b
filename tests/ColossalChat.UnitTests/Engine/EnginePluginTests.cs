using ColossalChat.Contracts;
using ColossalChat.Engine;
using ColossalChat.PluginKit;
using Xunit;

namespace ColossalChat.UnitTests.Engine;

[Trait("Category", "CI")]
public sealed class EnginePluginTests : PluginConformance
{
    protected override IPlugin CreatePlugin() => new EnginePlugin();
}
