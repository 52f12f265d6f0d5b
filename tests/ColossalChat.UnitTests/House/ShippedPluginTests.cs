using ColossalChat.PluginHost;
using Xunit;

namespace ColossalChat.UnitTests.House;

[Trait("Category", "CI")]
public sealed class ShippedPluginTests
{
    [Fact]
    public void Every_plugin_that_has_source_is_shipped_and_taken()
    {
        using var catalog = PluginCatalog.Load([Path.Combine(Repository.HostFolder, "plugins")], new Dictionary<string, string>(), _ => { });
        var meant = Repository.ProjectsWithSource("plugins").Where(name => name != "ColossalChat.Numerics").ToArray();
        Assert.Empty(catalog.Refusals.Where(refusal => meant.Contains(Path.GetFileName(refusal.Folder))).Select(refusal => refusal.ToString()));
        Assert.Equal(meant, catalog.Plugins.Select(plugin => plugin.Name).Intersect(meant));
    }
}
