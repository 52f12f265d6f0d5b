using ColossalChat.Contracts;
using ColossalChat.Host.Cli;
using ColossalChat.UnitTests.PluginHost;
using Xunit;

namespace ColossalChat.UnitTests.Host;

/// <summary>Pins of a run configuration through the whole program.</summary>
[Trait("Category", "CI")]
[Collection(BuiltPluginsCollection.Name)]
public sealed class PluginPinTests(BuiltPlugins built)
{
    private const string Wrong = "00";

    [Fact]
    public async Task Verify_of_a_folder_refuses_what_breaks_its_pin()
    {
        var folder = Path.Combine(built.FolderOf("SampleReward"), "SampleReward");
        var file = ConfigWith($$"""colossalchat { plugins { pins { SampleReward = {{Wrong}} } } }""");

        var (code, output, _) = await RunAsync("plugin", "verify", folder, "--config", file);

        Assert.Equal(ExitCode.Invalid, code);
        Assert.Contains("SampleReward (pin-mismatch)", output, StringComparison.Ordinal);
        Assert.DoesNotContain("ok ", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_of_a_folder_names_pinned_plugins_that_are_nowhere()
    {
        var folder = built.FolderOf("SampleReward");
        var file = ConfigWith($$"""colossalchat { plugins { pins { SampleRewards = {{Wrong}} } } }""");

        var (code, output, _) = await RunAsync("plugin", "verify", folder, "--config", file);

        Assert.Equal(ExitCode.Invalid, code);
        Assert.Contains("SampleRewards (pinned-absent)", output, StringComparison.Ordinal);
        Assert.Contains("Did you mean 'SampleReward'?", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("colossalchat { plugins { pins { SampleReward = 00 }", "is never closed; add '}'.")]
    [InlineData("colossalchat { plugins { pin { SampleReward = 00 } } }", "unknown key 'pin'. Did you mean 'pins'?")]
    [InlineData("colossalchat { plugins = my-plugins }", "this must be a section")]
    public async Task Verify_says_what_is_wrong_with_the_configuration(string text, string says)
    {
        var folder = built.FolderOf("SampleReward");

        var (code, output, error) = await RunAsync("plugin", "verify", folder, "--config", ConfigWith(text));

        Assert.Equal((ExitCode.Invalid, ""), (code, output));
        Assert.Contains(says, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--config", "{0}")]
    [InlineData("--config={0}")]
    public async Task A_plugin_folder_named_itself_does_not_run_before_its_pin_is_checked(params string[] config)
    {
        var folder = Path.Combine(built.FolderOf("ThrowsWhileRegistering"), "ThrowsWhileRegistering");
        // What else is wrong in the section does not take the pin away.
        var file = ConfigWith($$"""colossalchat { plugins { folder = [], pins { ThrowsWhileRegistering = {{Wrong}} } } }""");

        var (code, _, error) = await RunAsync(["--plugins", folder, "plugin", "verify", .. config.Select(word => string.Format(null, word, file))]);

        Assert.Equal(ExitCode.Invalid, code);
        Assert.Contains("plugin refused (pin-mismatch)", error, StringComparison.Ordinal);
        Assert.DoesNotContain("registration-failed", error, StringComparison.Ordinal);
    }

    private string ConfigWith(string text)
    {
        var file = Path.Combine(built.NewFolder(), "run.hocon");
        File.WriteAllText(file, text);
        return file;
    }

    private static async Task<(ExitCode Code, string Output, string Error)> RunAsync(params string[] args)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await HostProgram.RunAsync(args, output, error, isTerminal: false);
        return (code, output.ToString(), error.ToString());
    }
}
