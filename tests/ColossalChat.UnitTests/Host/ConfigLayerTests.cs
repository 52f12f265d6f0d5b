using ColossalChat.Host.Config;
using ColossalChat.PluginHost;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class ConfigLayerTests
{
    [Fact]
    public void The_command_line_wins_over_environment_over_file()
    {
        var environment = new Dictionary<string, string> { ["COLOSSALCHAT_RUN__NAME"] = "from-environment", ["COLOSSALCHAT_SEED"] = "2" };
        var config = MemoryFiles.Load("colossalchat { seed = 1, run { name = from-file, folder = kept } }", ["run.name=from-command-line"], environment);

        Assert.Equal("", config.Lines());
        Assert.Equal(["from-command-line", "2", "kept"], [config.At("colossalchat.run.name"), config.At("colossalchat.seed"), config.At("colossalchat.run.folder")]);
        Assert.Equal("command line", config.Node("colossalchat.run.name")!.Location);
        Assert.Equal("environment COLOSSALCHAT_SEED", config.Node("colossalchat.seed")!.Location);
        Assert.Equal("main.hocon:1", config.Node("colossalchat.run.folder")!.Location);
    }

    [Fact]
    public void Nothing_lies_over_an_effective_configuration()
    {
        var file = Path.GetTempFileName();
        try
        {
            // A variable that every process has.
            File.WriteAllText(file, "variables { x = ${PATH} }");

            Assert.Empty(ConfigLoader.LoadFile(file, []).Problems);
            Assert.Contains("nor an environment variable", ConfigLoader.LoadEffective(file).Lines(), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("COLOSSALCHAT_ROLES__REWARD__USE", "colossalchat.roles.reward.use")]
    [InlineData("COLOSSALCHAT_RUN__CHECKPOINT_EVERY", "colossalchat.run.checkpoint-every")]
    public void An_environment_variable_names_a_key(string variable, string path) =>
        Assert.Equal("x", MemoryFiles.Load("", environment: new Dictionary<string, string> { [variable] = "x" }).At(path));

    [Theory]
    [InlineData("COLOSSALCHAT_TESTDATA")]
    [InlineData("COLOSSALCHAT_HOME")]
    [InlineData("OTHER_RUN__NAME")]
    public void Variables_of_other_meaning_are_left_alone(string variable) =>
        Assert.Empty(MemoryFiles.Load("", environment: new Dictionary<string, string> { [variable] = "x" }).Root.Children);

    [Theory]
    [InlineData("seed=7", "colossalchat.seed", "7")]
    [InlineData("colossalchat.seed=7", "colossalchat.seed", "7")]
    [InlineData("akka.loglevel=DEBUG", "akka.loglevel", "DEBUG")]
    [InlineData("device=cuda:0", "colossalchat.device", "cuda:0")]
    [InlineData("models.policy.path=C:\\a b=c", "colossalchat.models.policy.path", "C:\\a b=c")]
    [InlineData("run.name=\"quoted\"", "colossalchat.run.name", "quoted")]
    [InlineData("run.name=", "colossalchat.run.name", "")]
    public void A_setting_of_the_command_line_reaches_its_key(string setting, string path, string expected)
    {
        var config = MemoryFiles.Load("", [setting]);

        Assert.Equal("", config.Lines());
        Assert.Equal(expected, config.At(path));
    }

    [Fact]
    public void Lists_and_sections_may_come_from_the_command_line()
    {
        var config = MemoryFiles.Load("colossalchat { run { sinks = [a] } }", ["run.sinks=[b, c]", "roles.reward={ use = x, y = 1 }"]);

        Assert.Equal(["b", "c"], config.Items("colossalchat.run.sinks"));
        Assert.Equal("1", config.At("colossalchat.roles.reward.y"));
    }

    [Fact]
    public void Null_takes_a_key_of_the_file_away() =>
        Assert.Null(MemoryFiles.Load("colossalchat { seed = 5 }", ["seed=null"]).Node("colossalchat.seed"));

    [Fact]
    public void A_substitution_sees_what_the_command_line_set() =>
        Assert.Equal("/b/x", MemoryFiles.Load("variables { base = /a }\ncolossalchat { run { folder = ${variables.base}/x } }", ["variables.base=/b"]).At("colossalchat.run.folder"));

    [Theory]
    [InlineData("seed")]
    [InlineData("=7")]
    [InlineData("a..b=7")]
    [InlineData("{=7")]
    public void What_is_no_setting_is_reported(string setting) =>
        Assert.Contains("this is not key=value", MemoryFiles.Load("", [setting]).Lines(), StringComparison.Ordinal);

    [Fact]
    public void A_key_and_its_value_as_two_words_are_one_slip() =>
        Assert.Equal("command line: roles.x: this is not key=value; write roles.x=-1.", MemoryFiles.Load("", ["roles.x", "-1"]).Lines().Trim());

    [Fact]
    public void The_last_of_two_settings_of_one_key_wins() =>
        Assert.Equal("2", MemoryFiles.Load("", ["seed=1", "seed=2"]).At("colossalchat.seed"));

    [Theory]
    [InlineData("reward { use = a, x = 1, nested { y = 2 } }")]
    [InlineData("reward { use = ${variables.used}, x = 1, nested { y = 2 } }")]
    [InlineData("reward = ${variables.reward}")]
    public void Another_plugin_in_a_higher_layer_drops_the_keys_beside_the_lower_use(string reward)
    {
        var file = "variables { used = a, reward { use = a, x = 1, nested { y = 2 } } }\ncolossalchat { roles { " + reward + " } }";

        Assert.Equal(["use", "z"], Keys(file, "roles.reward.z=3", "roles.reward.use=b"));
        Assert.Equal(["nested", "use", "x", "z"], Keys(file, "roles.reward.z=3", "roles.reward.use=a"));
        Assert.Equal(["nested", "use", "x", "z"], Keys(file, "roles.reward.z=3"));
    }

    [Fact]
    public void Each_layer_drops_what_the_one_below_it_set_for_another_plugin()
    {
        const string File = "colossalchat { roles { reward { use = a, x = 1 } } }";
        var environment = new Dictionary<string, string> { ["COLOSSALCHAT_ROLES__REWARD__USE"] = "b", ["COLOSSALCHAT_ROLES__REWARD__Y"] = "2" };

        Assert.Equal(["use", "y", "z"], KeysOf(MemoryFiles.Load(File, ["roles.reward.z=3"], environment)));
        Assert.Equal(["use", "z"], KeysOf(MemoryFiles.Load(File, ["roles.reward.z=3", "roles.reward.use=a"], environment)));
    }

    [Fact]
    public void Within_one_layer_a_second_use_drops_nothing() =>
        Assert.Equal(["use", "z"], Keys("", "roles.reward.use=a", "roles.reward.z=3", "roles.reward.use=b"));

    private static IEnumerable<string> Keys(string file, params string[] settings) => KeysOf(MemoryFiles.Load(file, settings));

    private static IEnumerable<string> KeysOf(LoadedConfig config)
    {
        Assert.Equal("", config.Lines());
        return ((ConfigSection)config.Node("colossalchat.roles.reward")!).Children.Keys.Order();
    }
}
