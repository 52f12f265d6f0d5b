namespace ColossalChat.EndToEndTests;

/// <summary>Long runs keep their size.</summary>
[Trait("Category", "Full")]
public sealed class MemoryTests
{
    [DataFact]
    public void Two_hundred_ppo_iterations_neither_grow_nor_leak_tensors()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("memory");
        var run = TrainingRun.Run(root, "run", "ppo", "story-ppo.hocon", TimeSpan.FromMinutes(15), StoryPpo.Settings(root, 
            "stage.iterations=200", "stage.evaluate-every=-1", "stage.prompts-per-iteration=16", "stage.rows-per-batch=16", "roles.rollout.max-new-tokens=24", "run.checkpoint-every=0"));
        var rss = run.Curve("sys/rss_gb");
        var tensors = run.Curve("sys/live_tensors");
        double Mean(int from, int to) => rss.Where(point => point.Iteration > from && point.Iteration <= to).Average(point => point.Value);
        var growth = Mean(180, 200) / Mean(40, 60) - 1;
        figures.Check("Resident memory, 200 iterations", "grows < 2 % after warm-up", $"{growth:P2} ({Mean(40, 60):F3} to {Mean(180, 200):F3} GB)", growth < 0.02);
        var spread = tensors.Where(point => point.Iteration > 40).Max(point => point.Value) - tensors.Where(point => point.Iteration > 40).Min(point => point.Value);
        figures.Check("Live tensors, 200 iterations", "constant", $"spread {spread:F0} around {tensors[^1].Value:F0}", spread == 0);
    }
}
