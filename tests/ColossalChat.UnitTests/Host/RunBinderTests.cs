using ColossalChat.Cluster;
using ColossalChat.PluginHost;
using ColossalChat.Host.Config;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class RunBinderTests
{
    private const string Models =
        "models { policy { path = p }, reference { path = p }, critic { path = p, head = value }, reward { path = r, head = value } }\n";

    private const string Ppo = "colossalchat { stage { use = ppo }\n" + Models + "roles { prompts { files = [a.jsonl] }, reward { use = word-reward } }\n}";

    [Fact]
    public void Roles_that_the_file_leaves_out_come_from_the_stage()
    {
        var (bound, problems) = Bind(Ppo);

        Assert.Equal("", string.Join('\n', problems));
        var roles = bound!.Settings.Roles;
        Assert.Equal(["prompt-source", "rollout", "reference", "critic", "word-reward"], [roles.Prompts!.Name, roles.Rollout!.Name, roles.Reference!.Name, roles.Critic!.Name, roles.Reward!.Name]);
        Assert.Equal(["critic", "policy"], roles.Trainers.Keys.Order());
        Assert.NotNull(roles.Rollout.Options);
    }

    [Fact]
    public void A_role_section_without_use_keeps_its_options()
    {
        var (bound, problems) = Bind(Ppo, "roles.rollout.max-new-tokens=7");

        Assert.Equal("", string.Join('\n', problems));
        Assert.Contains("max-new-tokens = 7", bound!.EffectiveText(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_printed_binds_to_the_same_settings_again()
    {
        var first = Bind(Ppo, "roles.trainers.policy.learning-rate=3e-5", "flow.role-timeout=90s").Bound!.EffectiveText();
        var (second, problems) = Bind(first);

        Assert.Equal("", string.Join('\n', problems));
        Assert.Equal(first, second!.EffectiveText());
        Assert.Contains("role-timeout = 90s", first, StringComparison.Ordinal);
        Assert.Contains("cancel-grace = 10s", first, StringComparison.Ordinal);
    }

    [Fact]
    public void Origins_say_where_each_value_came_from()
    {
        var text = Bind(Ppo, "seed=9").Bound!.EffectiveText(withOrigins: true);

        Assert.Contains("seed = 9  # command line", text, StringComparison.Ordinal);
        Assert.Contains("use = word-reward  # main.hocon:3", text, StringComparison.Ordinal);
        Assert.Contains("use = rollout  # stage ppo", text, StringComparison.Ordinal);
        Assert.Contains("batches-in-flight = 4  # default", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("roles.reward=none", "stage ppo needs this role")]
    [InlineData("roles.trainers.polcy.use=ppo-policy", "stage ppo does not train 'polcy'. Did you mean 'policy'?")]
    [InlineData("roles.reward.use=word-rewrad", "Did you mean 'word-reward'?")]
    [InlineData("roles.reward.divisr=1", "unknown key 'divisr'. Did you mean 'divisor'?")]
    [InlineData("stage.use=poo", "Did you mean 'ppo'?")]
    [InlineData("stage.iterations=0", "iterations is 0")]
    [InlineData("run.sinks=[tensorbord]", "Did you mean 'tensorboard'?")]
    [InlineData("models.critic=null", "critic")]
    [InlineData("device=gpu", "device is 'gpu'; it must be cpu or cuda:N")]
    [InlineData("run.name=a/b", "it must be a plain folder name")]
    public void A_wrong_setting_is_reported_with_what_is_allowed(string setting, string expected) =>
        Assert.Contains(expected, string.Join('\n', Bind(Ppo, setting).Problems), StringComparison.Ordinal);

    [Theory]
    [InlineData("seed=1", "tensorboard")]
    [InlineData("run.sinks=[]", "")]
    public void Metrics_go_to_all_installed_sinks_unless_the_file_says_otherwise(string setting, string expected) =>
        Assert.Equal(expected, string.Join(' ', Bind(Ppo, setting).Bound!.Settings.Run.Sinks!));

    [Fact]
    public void A_stage_that_trains_nothing_is_refused()
    {
        var plan = Bind(Ppo).Bound!.Plan;

        Assert.Empty(RunBinder.PlanProblems(plan, "ppo"));
        Assert.Contains("stage idle trains no model", Assert.Single(RunBinder.PlanProblems(plan with { ModelsTrained = [] }, "idle")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pin_that_does_not_fit_stops_the_run()
    {
        using var catalog = PluginCatalog.Load([ShippedPlugins.Folder], new Dictionary<string, string> { ["ColossalChat.Charts"] = new string('0', 64) }, _ => { });
        var (_, problems) = RunBinder.TryBind(MemoryFiles.Load(Ppo), catalog);

        Assert.Contains(problems, problem => problem.Message.StartsWith("pin-mismatch", StringComparison.Ordinal));
    }

    [Fact]
    public void The_example_configuration_binds_and_names_every_key()
    {
        var file = Path.Combine(ShippedPlugins.Root, "cluster.hocon");
        var config = ConfigLoader.Load(File.ReadAllText(file), "cluster.hocon", [], new Dictionary<string, string>(), new NoHoconFiles());
        var (bound, problems) = RunBinder.TryBind(config, ShippedPlugins.Catalog);

        Assert.Equal("", string.Join('\n', problems));
        var cluster = bound!.Settings.Cluster;
        Assert.Empty(cluster.Tls.Names);
        Assert.Equal(new ClusterOptions() with { Roles = cluster.Roles, Tls = new ClusterTls { Names = cluster.Tls.Names } }, cluster);
        var written = MemoryFiles.Load(File.ReadAllText(file));
        var missing = RunSettings.Keys.Where(key => written.Node($"colossalchat.{key}") is null)
            .Concat(NamedBy(bound.Settings.Run, "run", written))
            .Concat(NamedBy(bound.Settings.Flow, "flow", written))
            .Concat(NamedBy(bound.Settings.Telemetry, "telemetry", written))
            .Concat(NamedBy(bound.Settings.Cluster, "cluster", written))
            .Concat(NamedBy(bound.Settings.Cluster.Tls, "cluster.tls", written))
            .Concat(NamedBy(bound.Settings.Cluster.Lane, "cluster.lane", written))
            .Concat(NamedBy(bound.Settings.Stage.Options!, "stage", written))
            .Concat(NamedBy(bound.Settings.Roles.Rollout!.Options!, "roles.rollout", written))
            .Concat(NamedBy(bound.Settings.Roles.Experience!.Options!, "roles.experience", written))
            .Concat(NamedBy(bound.Settings.Roles.Trainers["policy"].Options!, "roles.trainers.policy", written));
        Assert.Equal("", string.Join(", ", missing));
    }

    [Fact]
    public void Another_plugin_on_the_command_line_drops_the_options_of_the_one_in_the_file()
    {
        var text = File.ReadAllText(Path.Combine(ShippedPlugins.Root, "cluster.hocon"));
        var (bound, problems) = Bind(text, "roles.reward.use=length-reward", "roles.reward.target=12");

        Assert.Equal("", string.Join('\n', problems));
        Assert.Equal("length-reward", bound!.Settings.Roles.Reward!.Name);
        Assert.Contains("target = 12", bound.EffectiveText(), StringComparison.Ordinal);
    }

    private static IEnumerable<string> NamedBy(object options, string path, LoadedConfig written) =>
        new SettingsTree(ShippedPlugins.Catalog).Of(options, path, null).Children.Keys.Select(key => $"{path}.{key}").Where(key => written.Node($"colossalchat.{key}") is null);

    private static (BoundRun? Bound, IReadOnlyList<ConfigProblem> Problems) Bind(string text, params string[] settings) =>
        RunBinder.TryBind(MemoryFiles.Load(text, settings), ShippedPlugins.Catalog);
}
