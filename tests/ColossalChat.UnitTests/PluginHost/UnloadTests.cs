using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.PluginHost;
using ColossalChat.PluginKit;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.PluginHost;

[Trait("Category", "CI")]
[Collection(BuiltPluginsCollection.Name)]
public sealed class UnloadTests(BuiltPlugins built)
{
    [Fact]
    public void Context_is_collected_When_the_catalog_is_disposed_after_use()
    {
        var catalog = PluginCatalog.Load([built.FolderOf("SampleReward", "SampleLoss")], new Dictionary<string, string>(), _ => { });
        var contexts = UseEverything(catalog);
        Assert.All(contexts, context => Assert.True(context.IsAlive));
        catalog.Dispose();
        for (var i = 0; i < 20 && contexts.Any(context => context.IsAlive); i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.All(contexts, context => Assert.False(context.IsAlive, "a plugin's load context, assembly or type is still alive"));
        Assert.Empty(catalog.Factories);
    }

    // A method of its own: locals of a running method may keep the plugin's objects alive.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference[] UseEverything(PluginCatalog catalog)
    {
        var problems = new List<ConfigProblem>();
        var node = new TestNode();
        var choice = OptionsBinder.BindChoice<IScoringRole>(
            Config.Section(("use", "sample-reward"), ("score", "0.25"), ("inner", new (string, object)[] { ("patience", "5s") })),
            "root", null, catalog, problems)!;
        Assert.Empty(problems);
        var factory = catalog.Find(typeof(IScoringRole), choice.Name)!;
        using (var role = (IScoringRole)factory.Create(choice.Options!, node))
            Assert.Equal(0.25f, role.Score(SampleRollouts.Texts(new ByteTokenizer()), CancellationToken.None).Values.Values.Span[0]);
        Assert.NotEmpty(OptionsBinder.Describe(factory.OptionsType));

        var loss = (IPolicyLoss)catalog.Find(typeof(IPolicyLoss), "sample-loss")!.Create(new NoOptions(), node);
        using var ones = ones_like(zeros(1, 2)).requires_grad_();
        using var isResponse = ones.to(ScalarType.Bool);
        using var value = loss.Compute(new PolicyLossInput(ones, ones, ones, ones, isResponse, new WindowTotals(2, 1))).Loss;
        value.backward();
        Assert.Equal(-1f, value.item<float>());
        // The context object alone proves nothing: it may go while a type of it lives on. Types and assemblies must go too.
        return [.. new[] { factory.OptionsType, loss.GetType() }.SelectMany(type =>
            new object[] { AssemblyLoadContext.GetLoadContext(type.Assembly)!, type.Assembly, type }).Select(part => new WeakReference(part))];
    }
}
