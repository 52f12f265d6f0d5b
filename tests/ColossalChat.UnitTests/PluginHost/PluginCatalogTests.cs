using System.Security.Cryptography;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.PluginHost;
using ColossalChat.PluginKit;
using Xunit;

namespace ColossalChat.UnitTests.PluginHost;

[Trait("Category", "CI")]
[Collection(BuiltPluginsCollection.Name)]
public sealed class PluginCatalogTests(BuiltPlugins built)
{
    private readonly List<string> _lines = [];

    [Fact]
    public void Plugin_is_loaded_and_its_factories_are_found()
    {
        using var catalog = Load(built.FolderOf("SampleReward", "SampleLoss"));
        Assert.Empty(catalog.Refusals);
        Assert.Equal(["SampleLoss", "SampleReward"], catalog.Plugins.Select(plugin => plugin.Name));
        Assert.Equal(["sample-reward"], catalog.NamesOf(typeof(IScoringRole)));
        Assert.Equal(2, _lines.Count);

        var factory = catalog.Find(typeof(IScoringRole), "sample-reward")!;
        Assert.Equal("scoring-role", factory.Kind);
        Assert.False(factory.IsShared);
        Assert.Equal(Sha256Of(factory.Plugin.AssemblyPath), factory.Plugin.Sha256);
        using var role = (IScoringRole)factory.Create(Activator.CreateInstance(factory.OptionsType)!, new TestNode());
        var scores = role.Score(SampleRollouts.Texts(new ByteTokenizer()), CancellationToken.None);
        Assert.All(scores.Values.Values.ToArray(), score => Assert.Equal(0.5f, score));

        Assert.True(catalog.Find(typeof(IAdvantageEstimator), "sample-estimator")!.IsShared);
        Assert.IsAssignableFrom<IPolicyLoss>(catalog.Find(typeof(IPolicyLoss), "sample-loss")!.Create(new NoOptions(), new TestNode()));
        Assert.Null(catalog.Find(typeof(IPolicyLoss), "sample-reward"));
    }

    [Theory]
    [InlineData("NewerMajor", RefusalReason.ContractVersion, "built against ColossalChat.Contracts 2.0")]
    [InlineData("NewerMinor", RefusalReason.ContractVersion, "built against ColossalChat.Contracts 1.99")]
    [InlineData("ContractInside", RefusalReason.ContractAssembly, "delete ")]
    [InlineData("NoEntry", RefusalReason.NoPluginClass, "NoEntry.Plugin is not such a class")]
    [InlineData("TwoEntries", RefusalReason.SeveralPluginClasses, "TwoEntries.First, TwoEntries.Second")]
    [InlineData("ThrowsWhileRegistering", RefusalReason.RegistrationFailed, "the moon is in the wrong house")]
    [InlineData("OptionsThatThrow", RefusalReason.OptionsConstructor, "no defaults here")]
    [InlineData("OptionsWithoutConstructor", RefusalReason.OptionsConstructor, "no public constructor without parameters")]
    [InlineData("BadName", RefusalReason.BadRegistration, "'Bad_Name'")]
    [InlineData("ForeignSeam", RefusalReason.BadRegistration, "ForeignSeam.IMine")]
    [InlineData("SameFactory", RefusalReason.DuplicateFactory, "already registered by SampleReward")]
    public void Broken_plugin_is_refused_and_the_good_one_stays(string project, string reason, string says)
    {
        var good = built.FolderOf("SampleReward");
        using var catalog = Load(good, built.FolderOf(project));
        var refusal = Assert.Single(catalog.Refusals);
        Assert.Equal(reason, refusal.Reason);
        Assert.Contains(says, refusal.Message, StringComparison.Ordinal);
        Assert.Equal(["SampleReward"], catalog.Plugins.Select(plugin => plugin.Name));
        Assert.Contains(_lines, line => line.Contains(reason, StringComparison.Ordinal) && line.Contains(project, StringComparison.Ordinal));
    }

    [Fact]
    public void Contract_assembly_in_the_folder_is_named_by_its_file()
    {
        var folder = built.FolderOf("ContractInside");
        using var catalog = Load(folder);
        foreach (var file in new[] { "ColossalChat.Contracts.dll", "ColossalChat.Contracts.Torch.dll", "TorchSharp.dll" })
            Assert.Contains(Path.Combine(folder, "ContractInside", file), catalog.Refusals[0].Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Second_folder_of_the_same_name_is_refused()
    {
        var (first, second) = (built.FolderOf("SampleReward"), built.FolderOf("SampleReward"));
        using var catalog = Load(first, second);
        var refusal = Assert.Single(catalog.Refusals);
        Assert.Equal((RefusalReason.DuplicatePlugin, Path.Combine(second, "SampleReward")), (refusal.Reason, refusal.Folder));
        Assert.Contains(Path.Combine(first, "SampleReward"), refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Folder_that_is_not_named_like_its_assembly_is_refused()
    {
        var folder = built.NewFolder();
        BuiltPlugins.Install(folder, "SampleReward", "MyReward");
        BuiltPlugins.Install(folder, "SampleLoss", "MyLoss");
        File.Move(Path.Combine(folder, "MyLoss", "SampleLoss.dll"), Path.Combine(folder, "MyLoss", "MyLoss.dll"));
        Directory.CreateDirectory(Path.Combine(folder, "Nothing"));
        Directory.CreateDirectory(Path.Combine(folder, ".hidden"));
        using var catalog = Load(folder);
        Assert.Equal(3, catalog.Refusals.Count);
        Assert.All(catalog.Refusals, refusal => Assert.Equal(RefusalReason.Misnamed, refusal.Reason));
        Assert.Contains("the assembly in it is SampleLoss", catalog.Refusals[0].Message, StringComparison.Ordinal);
        Assert.Contains("it holds SampleReward.dll", catalog.Refusals[1].Message, StringComparison.Ordinal);
    }

    [Fact]
    public void File_that_is_no_assembly_is_refused()
    {
        var folder = Directory.CreateDirectory(Path.Combine(built.NewFolder(), "Garbage")).FullName;
        File.WriteAllText(Path.Combine(folder, "Garbage.dll"), "this is no program");
        using var catalog = Load(folder);
        Assert.Equal(RefusalReason.CannotLoad, Assert.Single(catalog.Refusals).Reason);
    }

    [Fact]
    public void Missing_plugin_folder_is_reported()
    {
        using var catalog = Load(Path.Combine(built.NewFolder(), "absent"));
        Assert.Equal(RefusalReason.FolderAbsent, Assert.Single(catalog.Refusals).Reason);
    }

    [Fact]
    public void Pinned_plugin_is_loaded_only_with_its_hash_and_must_be_there()
    {
        var folder = built.FolderOf("SampleReward", "SampleLoss");
        var pins = new Dictionary<string, string>
        {
            ["SampleReward"] = Sha256Of(Path.Combine(folder, "SampleReward", "SampleReward.dll")).ToUpperInvariant(),
            ["SampleLoss"] = new('0', 64),
            ["SampleLos"] = new('0', 64),
        };
        using var catalog = PluginCatalog.Load([folder], pins, _lines.Add);
        Assert.Equal(["SampleReward"], catalog.Plugins.Select(plugin => plugin.Name));
        Assert.Equal([RefusalReason.PinMismatch, RefusalReason.PinnedAbsent], catalog.Refusals.Select(refusal => refusal.Reason));
        Assert.Contains("Did you mean 'SampleLoss'?", catalog.Refusals[1].Message, StringComparison.Ordinal);
    }

    private PluginCatalog Load(params string[] folders) => PluginCatalog.Load(folders, new Dictionary<string, string>(), _lines.Add);

    private static string Sha256Of(string file) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));
}
