using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.PluginKit;

/// <summary>What every <see cref="IPlugin"/> must do. Inherit it and make the plugin.</summary>
public abstract class PluginConformance
{
    /// <summary>The plugin under test.</summary>
    protected abstract IPlugin CreatePlugin();

    /// <summary>Factories whose options have no sensible defaults, such as files that only a user knows.</summary>
    protected virtual IReadOnlyList<string> NeedOptions => [];

    [Fact]
    public void Plugin_is_the_one_public_entry_of_its_assembly()
    {
        var type = CreatePlugin().GetType();
        Assert.True(type.IsPublic && type.GetConstructor(Type.EmptyTypes) is not null, $"{type.Name} must be public with a parameterless constructor");
        Assert.Single(type.Assembly.GetTypes(), candidate => candidate.IsClass && !candidate.IsAbstract && candidate.IsAssignableTo(typeof(IPlugin)));
    }

    [Fact]
    public void Registering_offers_something_each_time_and_touches_nothing()
    {
        var (first, second) = (new TestNode().With(CreatePlugin()), new TestNode().With(CreatePlugin()));
        Assert.NotEmpty(first.OptionTypes);
        Assert.Equal(first.OptionTypes.Keys.Order(Comparer<(Type Seam, string Name)>.Create(Compare)), second.OptionTypes.Keys.Order(Comparer<(Type Seam, string Name)>.Create(Compare)));
        Assert.Equal(0, first.Leases.Taken);
    }

    [Fact]
    public void Names_are_lower_case_words_joined_by_hyphens()
    {
        foreach (var (seam, name) in new TestNode().With(CreatePlugin()).OptionTypes.Keys)
            Assert.Matches("^[a-z0-9]+(-[a-z0-9]+)*$", name);
    }

    [Fact]
    public void Default_options_are_all_right()
    {
        foreach (var ((seam, name), type) in new TestNode().With(CreatePlugin()).OptionTypes)
        {
            if (Activator.CreateInstance(type) is ICheckedOptions options && !NeedOptions.Contains(name))
                Assert.True(!options.Problems().Any(), $"{seam.Name} '{name}': {string.Join(" ", options.Problems())}");
        }
    }

    private static int Compare((Type Seam, string Name) a, (Type Seam, string Name) b) =>
        string.CompareOrdinal(a.Seam.FullName + a.Name, b.Seam.FullName + b.Name);
}
