using ColossalChat.Contracts;
using ColossalChat.Ptx;
using ColossalChat.PluginKit;
using Xunit;

namespace ColossalChat.UnitTests.Ptx;

[Trait("Category", "CI")]
public sealed class PtxPluginTests : PluginConformance
{
    protected override IPlugin CreatePlugin() => new PtxPlugin();

    protected override IReadOnlyList<string> NeedOptions => ["ptx"];
}
