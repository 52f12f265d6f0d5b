using ColossalChat.Contracts;
using ColossalChat.PluginKit;
using ColossalChat.Quickstart;
using Xunit;

namespace ColossalChat.UnitTests.Quickstart;

[Trait("Category", "CI")]
public sealed class QuickstartPluginTests : PluginConformance
{
    protected override IPlugin CreatePlugin() => new QuickstartPlugin();
}
