using System.Diagnostics;

namespace ColossalChat.EndToEndTests;

/// <summary>A reward written outside the solution is dropped into a folder and used by the unchanged host.</summary>
[Trait("Category", "CI")]
public sealed class ExternalPluginTests
{
    private const string Project = """
        <Project Sdk="Microsoft.NET.Sdk"><Import Project="$(COLOSSALCHAT_HOME)/sdk/ColossalChat.Plugin.props"/>
        </Project>
        """;

    private const string Source = """
        using ColossalChat.Contracts;

        public sealed record CommaOptions { public double Weight { get; init; } = 0.25; }

        public sealed class CommaPlugin : IPlugin
        {
            public void Register(IPluginRegistry registry) =>
                registry.Add<IScoringRole, CommaOptions>("comma-reward", (options, node) => new CommaReward(options, node));
        }

        public sealed class CommaReward(CommaOptions options, INodeContext node) : IScoringRole
        {
            public ScoreKind Kind => ScoreKind.Rewards;

            public Scores Score(Rollout rollout, CancellationToken cancel)
            {
                var tokenizer = node.Tokenizer(rollout.Prompts.TokenizerHash);
                var scores = Enumerable.Range(0, rollout.Rows)
                    .Select(row => (float)(options.Weight * tokenizer.Decode(rollout.Tokens[row].ToArray()).Count(letter => letter == ',')));
                return Scores.Of(Kind, Ragged.Scalars<float>(scores.ToArray()));
            }

            public void LoadWeights(WeightsPublication publication, CancellationToken cancel) { }
            public void Dispose() { }
        }
        """;

    [DataFact]
    public void Reward_built_outside_the_solution_drives_ppo()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("external-plugin");
        var plugins = Build(root);
        var run = TrainingRun.Run(root, "run", "ppo", "story-ppo.hocon", TimeSpan.FromMinutes(5), StoryPpo.Settings(root, 
            "roles.reward.use=comma-reward", "roles.reward.weight=0.5", $"plugins.folder={plugins}",
            "stage.iterations=2", "stage.prompts-per-iteration=8", "stage.rows-per-batch=8", "stage.evaluation-prompts=8"));
        var rewards = run.Curve("reward/score");
        figures.Check("Reward plugin from outside", "the unchanged host uses it", $"mean rewards {rewards[0].Value:F3}, {rewards[1].Value:F3}",
            rewards.Count == 2 && rewards.All(point => point.Value >= 0) && rewards.Any(point => point.Value > 0));
    }

    private static string Build(string root)
    {
        var source = Directory.CreateDirectory(Path.Combine(root, "source", "CommaReward")).FullName;
        var plugins = Path.Combine(root, "plugins");
        File.WriteAllText(Path.Combine(source, "CommaReward.csproj"), Project);
        File.WriteAllText(Path.Combine(source, "CommaReward.cs"), Source);
        var build = new ProcessStartInfo("dotnet") { WorkingDirectory = source, RedirectStandardOutput = true };
        foreach (var argument in new[] { "build", "-c", "Release", "-v", "quiet", "-nologo", "-o", Path.Combine(plugins, "CommaReward") })
            build.ArgumentList.Add(argument);
        build.Environment["COLOSSALCHAT_HOME"] = HostProcess.Home;
        using var process = Process.Start(build)!;
        var printed = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, printed);
        return plugins;
    }
}
