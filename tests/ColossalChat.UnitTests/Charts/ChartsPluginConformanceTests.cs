using ColossalChat.Contracts;
using ColossalChat.Charts;
using ColossalChat.PluginKit;
using Xunit;

namespace ColossalChat.UnitTests.Charts;

[Trait("Category", "CI")]
public sealed class ChartsPluginConformanceTests : PluginConformance
{
    protected override IPlugin CreatePlugin() => new ChartsPlugin();
}
