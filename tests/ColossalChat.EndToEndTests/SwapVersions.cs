using ColossalChat.Tests;

namespace ColossalChat.EndToEndTests;

/// <summary>Versions of the sample plugins that runs are given while they go on.</summary>
/// <param name="Installed">Plugin folder of the run, with the first of each.</param>
/// <param name="Losses">Two of the policy loss.</param>
/// <param name="Rewards">Two of the reward; the second gives half as much.</param>
/// <param name="Broken">A reward that throws when it is tried and a loss that gives NaN, by plugin.</param>
internal sealed record SwapVersions(string Installed, string[] Losses, string[] Rewards, (string Plugin, string Folder)[] Broken)
{
    /// <summary>Settings of a PPO run that begins with the first ones, with many more iterations than there is time for: the test ends it.</summary>
    public IReadOnlyList<string> Settings =>
    [
        "roles.reward.use=sample-reward", "roles.trainers.policy.policy-loss=sample-loss", $"plugins.folder={Installed}",
        "stage.iterations=100000", "stage.prompts-per-iteration=8", "stage.rows-per-batch=8", "stage.evaluate-every=-1", "stage.evaluation-prompts=0",
        "roles.rollout.max-new-tokens=16", "run.checkpoint-every=0", "roles.trainers.policy.learning-rate=1e-6",
    ];

    /// <summary>Builds them.</summary>
    /// <param name="root">Folder that gets sources and plugins.</param>
    /// <param name="withBroken">Those that must be rolled back too.</param>
    public static async Task<SwapVersions> BuildAsync(string root, bool withBroken)
    {
        var plugins = new PluginVersions(Path.Combine(Repository.Root, "tests", "plugins"), Directory.CreateDirectory(Path.Combine(root, "source")).FullName);
        string[] losses = [plugins.Add("SampleLoss", "1.0.0"), plugins.Add("SampleLoss", "2.0.0")];
        string[] rewards = [plugins.Add("SampleReward", "1.0.0"), plugins.Add("SampleReward", "2.0.0", ("options.Score,", "options.Score / 2,"))];
        (string, string)[] broken = withBroken
            ?
            [
                ("SampleReward", plugins.Add("SampleReward", "3.0.0", ("public ScoreKind Kind => ScoreKind.Rewards;", "public ScoreKind Kind { get; } = true ? throw new InvalidOperationException(\"the thing is broken\") : ScoreKind.Rewards;"))),
                ("SampleLoss", plugins.Add("SampleLoss", "3.0.0", ("-weighted.sum()", "-weighted.sum() * float.NaN"))),
            ]
            : [];
        await plugins.BuildAsync(HostProcess.Home);
        var installed = Path.Combine(root, "installed");
        PluginVersions.Install(losses[0], installed, "SampleLoss");
        PluginVersions.Install(rewards[0], installed, "SampleReward");
        return new SwapVersions(installed, losses, rewards, broken);
    }
}
