using System.Security.Cryptography;
using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.PluginHost;
using ColossalChat.PluginHost.Verbs;
using ColossalChat.PluginKit;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.PluginHost;

[Trait("Category", "CI")]
[Collection(BuiltPluginsCollection.Name)]
public sealed class PluginVerbsTests(BuiltPlugins built) : IDisposable
{
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();

    [Fact]
    public async Task List_prints_one_json_entry_per_factory()
    {
        using var catalog = Load(built.FolderOf("SampleReward"));
        Assert.Equal(ExitCode.Ok, await RunAsync(new PluginListCommand(catalog), new PluginListOptions { Json = true }));
        using var json = JsonDocument.Parse(_out.ToString());
        var entries = json.RootElement.EnumerateArray().ToArray();
        Assert.Equal(["sample-estimator", "sample-reward"], entries.Select(entry => entry.GetProperty("name").GetString()));
        Assert.Equal("scoring-role", entries[1].GetProperty("kind").GetString());
        Assert.Equal("1.0.0", entries[1].GetProperty("version").GetString());
        Assert.EndsWith("SampleReward.dll", entries[1].GetProperty("assembly").GetString(), StringComparison.Ordinal);
        Assert.Equal(64, entries[1].GetProperty("sha256").GetString()!.Length);
    }

    [Fact]
    public async Task Info_shows_options_and_suggests_names()
    {
        using var catalog = Load(built.FolderOf("SampleReward"));
        await RunAsync(new PluginInfoCommand(catalog), new PluginInfoOptions { Name = "sample-reward" });
        Assert.Contains("score = 0.5", _out.ToString(), StringComparison.Ordinal);
        Assert.Contains("Score of every answer", _out.ToString(), StringComparison.Ordinal);
        var error = await Assert.ThrowsAsync<UserErrorException>(() => RunAsync(new PluginInfoCommand(catalog), new PluginInfoOptions { Name = "sample-rewrad" }));
        Assert.Equal(ExitCode.NotFound, error.ExitCode);
        Assert.Contains("Did you mean 'sample-reward'?", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_prints_refusals_and_ends_with_3()
    {
        using var catalog = Load(built.FolderOf("SampleReward"));
        Assert.Equal(ExitCode.Ok, await RunAsync(new PluginVerifyCommand(catalog, NoPins), new PluginVerifyOptions()));
        Assert.Contains("ok       SampleReward 1.0.0", _out.ToString(), StringComparison.Ordinal);
        var clash = built.FolderOf("SameFactory");
        Assert.Equal(ExitCode.Invalid, await RunAsync(new PluginVerifyCommand(catalog, NoPins), new PluginVerifyOptions { Folder = Path.Combine(clash, "SameFactory") }));
        Assert.Contains("duplicate-factory", _out.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_checks_a_folder_that_the_host_does_not_know_against_every_pin()
    {
        using var catalog = Load(built.FolderOf("SampleReward"));
        var folder = built.FolderOf("SampleLoss", "ThrowsWhileRegistering");
        var pins = new PluginPins("", new Dictionary<string, string>
        {
            ["SampleReward"] = new('0', 64),
            ["ThrowsWhileRegistering"] = new('1', 64),
            ["SampleLos"] = new('2', 64),
        });

        var code = await RunAsync(new PluginVerifyCommand(catalog, _ => pins), new PluginVerifyOptions { Folder = folder, Config = AnyConfig() });

        Assert.Equal(ExitCode.Invalid, code);
        var lines = _out.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.StartsWith("ok       SampleLoss ", lines[0], StringComparison.Ordinal);
        // A plugin that breaks its pin never runs: this one would throw while it registers.
        Assert.Equal(
            ["SampleReward (pin-mismatch)", "ThrowsWhileRegistering (pin-mismatch)", "SampleLos (pinned-absent)"],
            lines.Skip(1).Select(line => Path.GetFileName(line["refused  ".Length..line.IndexOf(':', StringComparison.Ordinal)])));
    }

    [Fact]
    public async Task Verify_finds_pinned_plugins_in_the_folder_of_the_configuration()
    {
        using var catalog = Load(built.FolderOf("SampleReward"));
        var more = built.FolderOf("SampleLoss");
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(Path.Combine(more, "SampleLoss", "SampleLoss.dll"))));
        var verify = new PluginVerifyCommand(catalog, _ => new PluginPins(more, new Dictionary<string, string> { ["SampleLoss"] = sha256 }));

        Assert.Equal(ExitCode.Ok, await RunAsync(verify, new PluginVerifyOptions { Config = AnyConfig() }));

        Assert.Contains($"ok       SampleLoss 1.0.0 {sha256}", _out.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task New_reward_builds_outside_the_tree_and_scores()
    {
        using var catalog = Load(await WriteAndBuildAsync("reward", "polite-reward", "PoliteReward"));
        Assert.Empty(catalog.Refusals);
        var node = new TestNode().With(new ByteTokenizer());
        var choice = OptionsBinder.BindChoice<IScoringRole>(Config.Section(("use", "polite-reward"), ("enough-words", "4")), "root", null, catalog, [])!;
        using var role = (IScoringRole)catalog.Find(typeof(IScoringRole), choice.Name)!.Create(choice.Options!, node);
        var rollout = SampleRollouts.OfTexts(new ByteTokenizer(), ("Q", "one two"), ("Q", "one two three four five"));
        Assert.Equal([0.5f, 1f], role.Score(rollout, CancellationToken.None).Values.Values.ToArray());
    }

    [Fact]
    public async Task New_loss_builds_outside_the_tree_and_ignores_padding()
    {
        using var catalog = Load(await WriteAndBuildAsync("loss", "my-loss", "MyLoss"));
        Assert.Empty(catalog.Refusals);
        var factory = catalog.Find(typeof(IPolicyLoss), "my-loss")!;
        var loss = (IPolicyLoss)factory.Create(Activator.CreateInstance(factory.OptionsType)!, new TestNode());
        using var logProbs = tensor([-1f, float.NaN], [1, 2]).requires_grad_();
        using var advantages = tensor([2f, float.NaN], [1, 2]);
        using var isResponse = tensor([true, false], [1, 2]);
        using var one = ones(1, 2);
        using var value = loss.Compute(new PolicyLossInput(logProbs, logProbs.detach(), advantages, one, isResponse, new WindowTotals(1, 1))).Loss;
        value.backward();
        Assert.Equal(-2f, value.item<float>());
        Assert.Equal([-2f, 0f], logProbs.grad!.data<float>().ToArray());
    }

    [Theory]
    [InlineData("lss", "x", "Did you mean 'loss'?")]
    [InlineData("loss", "my loss", "cannot be a plugin's name")]
    [InlineData("loss", "3loss", "cannot be a plugin's name")]
    public async Task New_refuses_what_it_cannot_write(string kind, string name, string says)
    {
        var options = new PluginNewOptions { Kind = kind, Name = name, Out = built.NewFolder() };
        var error = await Assert.ThrowsAsync<UserErrorException>(() => RunAsync(new PluginNewCommand(), options));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(options.Out));
    }

    public void Dispose()
    {
        _out.Dispose();
        _error.Dispose();
    }

    // Returns a plugin folder that holds what was written and built.
    private async Task<string> WriteAndBuildAsync(string kind, string name, string project)
    {
        var (source, plugins) = (built.NewFolder(), built.NewFolder());
        await RunAsync(new PluginNewCommand(), new PluginNewOptions { Kind = kind, Name = name, Out = source });
        var folder = Path.Combine(source, project);
        Assert.Equal(folder, _out.ToString().Trim());
        await Assert.ThrowsAsync<UserErrorException>(() => RunAsync(new PluginNewCommand(), new PluginNewOptions { Kind = kind, Name = name, Out = source }));
        await BuiltPlugins.BuildAsync(folder, Path.Combine(plugins, project));
        Assert.DoesNotContain(Directory.EnumerateFiles(plugins, "*.dll", SearchOption.AllDirectories), file => Path.GetFileName(file) != project + ".dll");
        return plugins;
    }

    // The verb wants a file; what it says is up to the reader.
    private string AnyConfig()
    {
        var file = Path.Combine(built.NewFolder(), "run.hocon");
        File.WriteAllText(file, "");
        return file;
    }

    private static PluginPins NoPins(string file) => throw new InvalidOperationException($"{file} must not be read.");

    private static PluginCatalog Load(string folder) => PluginCatalog.Load([folder], new Dictionary<string, string>(), _ => { });

    private Task<ExitCode> RunAsync(ICliCommand command, object options) =>
        command.RunAsync(options, new CliContext(new TestNode(), _out, _error, null!), CancellationToken.None);
}
