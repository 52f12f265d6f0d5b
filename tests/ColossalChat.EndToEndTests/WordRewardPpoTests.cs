namespace ColossalChat.EndToEndTests;

/// <summary>PPO with a rule-based reward plugin makes a story teller happier without losing its language.</summary>
[Trait("Category", "CI")]
public sealed class WordRewardPpoTests
{
    [DataFact]
    public void Happy_words_rise_and_the_stories_stay_close_to_the_reference()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("word-ppo");
        var started = TimeProvider.System.GetTimestamp();
        var run = TrainingRun.Run(root, "ppo", "ppo", "story-ppo.hocon", TimeSpan.FromMinutes(12), StoryPpo.Settings(root));
        var took = TimeProvider.System.GetElapsedTime(started);

        var rewards = run.Curve("eval/reward/score", "evaluate");
        var kl = run.Curve("eval/kl/ref", "evaluate");
        // One answer's reward varies by 0.31 here, the mean of 97 beginnings by 0.31 / sqrt(97) = 0.03: 0.08 is between two and three of these.
        figures.Check("PPO word reward, held out, before", "about 0.28 (+- 0.08)", $"{rewards[0].Value:F3}", Math.Abs(rewards[0].Value - 0.28) <= 0.08);
        figures.Check("PPO word reward, held out, after", ">= 0.80 within 3 minutes", $"{rewards[^1].Value:F3} in {took.TotalSeconds:F0} s",
            rewards[^1].Value >= 0.80 && (!Figures.IsTableWanted || took <= TimeSpan.FromMinutes(3)));
        figures.Check("PPO KL to the reference", "below 12 nats an answer, never negative on average",
            $"held out {kl[^1].Value:F2}, training min {run.Curve("kl/ref").Skip(1).Min(point => point.Value):F3} max {run.Curve("kl/ref").Max(point => point.Value):F2}",
            kl[^1].Value < 12 && run.Curve("kl/ref").All(point => point.Value is > -1e-3 and < 12));
        var missing = new[] { "policy/clip_frac", "policy/entropy", "value/explained_var" }.Except(run.MetricNames()).ToArray();
        figures.Check("PPO metrics", "clip share, entropy, explained variance", $"missing: {missing.Length}", missing.Length == 0);
    }
}
