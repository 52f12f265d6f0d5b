using ColossalChat.Contracts;
using ColossalChat.Chat;
using ColossalChat.PluginKit;
using Xunit;

namespace ColossalChat.UnitTests.Chat;

[Trait("Category", "CI")]
public sealed class ChatPluginTests : PluginConformance
{
    protected override IPlugin CreatePlugin() => new ChatPlugin();
}
