namespace ColossalChat.EndToEndTests;

/// <summary>PPO whose answers are written one update ahead.</summary>
public sealed class StalePpoTests
{
    [DataFact]
    [Trait("Category", "CI")]
    public void A_run_with_stale_answers_says_how_old_they_are_and_corrects_for_it()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("stale-ppo");
        var run = TrainingRun.Run(root, "ppo", "ppo", "story-ppo.hocon", TimeSpan.FromMinutes(4), StoryPpo.Settings(
            root, "flow.staleness=1", "stage.iterations=5", "stage.prompts-per-iteration=16", "stage.rows-per-batch=8",
            "stage.evaluate-every=5", "stage.evaluation-prompts=8", "run.checkpoint-every=0", "roles.rollout.max-new-tokens=24"));

        var ages = run.Curve("rollout/staleness_share/1");
        figures.Check("asynchronous PPO, staleness 1", "tokens one update old in some iterations, none older",
            $"share {string.Join(' ', ages.Select(point => $"{point.Iteration}:{point.Value:F2}"))}",
            run.Curve("policy/loss").Count == 5 && ages.Any(point => point.Value > 0) && run.Curve("rollout/staleness_max").All(point => point.Value <= 1));
        var weights = run.Curve("train/importance_mean");
        figures.Check("importance weights of stale tokens", "near 1, capped at 2", $"mean {weights.Average(point => point.Value):F4}, max {run.Curve("train/importance_max").Max(point => point.Value):F3}",
            weights.All(point => point.Value is > 0.5 and < 1.5) && run.Curve("train/importance_max").All(point => point.Value <= 2)
            && run.Curve("train/importance_capped_share").Count == weights.Count);
    }

    [DataFact]
    [Trait("Category", "Full")]
    public void Happy_words_rise_with_stale_answers_as_they_do_on_policy()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("stale-ppo-full");
        var run = TrainingRun.Run(root, "ppo", "ppo", "story-ppo.hocon", TimeSpan.FromMinutes(12), StoryPpo.Settings(root, "flow.staleness=1"));

        var rewards = run.Curve("eval/reward/score", "evaluate");
        figures.Check("asynchronous PPO word reward, held out", "before about 0.28, after >= 0.70 (on-policy: 0.80)",
            $"{rewards[0].Value:F3} to {rewards[^1].Value:F3}", rewards[^1].Value >= 0.70);

        // What holds it back comes an update late too: on its way it overshoots what on-policy training stays below.
        var kl = run.Curve("eval/kl/ref", "evaluate");
        figures.Check("asynchronous PPO KL to the reference", "held out below 12 nats an answer at the end, never above 16", $"held out {kl[^1].Value:F2}, training max {run.Curve("kl/ref").Max(point => point.Value):F2}",
            kl[^1].Value < 12 && run.Curve("kl/ref").All(point => point.Value < 16));
    }
}
