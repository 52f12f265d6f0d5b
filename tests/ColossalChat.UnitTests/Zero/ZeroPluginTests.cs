using ColossalChat.Contracts;
using ColossalChat.PluginKit;
using ColossalChat.Zero;
using Xunit;

namespace ColossalChat.UnitTests.Zero;

[Trait("Category", "CI")]
public sealed class ZeroPluginTests : PluginConformance
{
    protected override IPlugin CreatePlugin() => new ZeroPlugin();
}
