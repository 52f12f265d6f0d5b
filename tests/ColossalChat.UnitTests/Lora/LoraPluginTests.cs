using ColossalChat.Contracts;
using ColossalChat.Lora;
using ColossalChat.PluginKit;
using Xunit;

namespace ColossalChat.UnitTests.Lora;

[Trait("Category", "CI")]
public sealed class LoraPluginTests : PluginConformance
{
    protected override IPlugin CreatePlugin() => new LoraPlugin();
}
