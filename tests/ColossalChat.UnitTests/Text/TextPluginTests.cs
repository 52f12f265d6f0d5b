using ColossalChat.Contracts;
using ColossalChat.PluginKit;
using ColossalChat.Text;
using Xunit;

namespace ColossalChat.UnitTests.Text;

[Trait("Category", "CI")]
public sealed class TextPluginTests : PluginConformance
{
    protected override IPlugin CreatePlugin() => new TextPlugin();

    protected override IReadOnlyList<string> NeedOptions => ["files", "prompt-source", "sft-batches", "preference-batches"];
}
