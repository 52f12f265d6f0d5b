using System.Buffers.Binary;
using System.Runtime.InteropServices;
using ColossalChat.Journal;

namespace ColossalChat.EndToEndTests;

/// <summary>One file, six processes: what they train is what one process trains.</summary>
public sealed class ClusterTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    [DataFact]
    [Trait("Category", "CI")]
    public void Three_iterations_of_six_processes_are_those_of_one()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("cluster");
        var (whole, spread) = RunBoth(root, "stage.iterations=3", "stage.prompts-per-iteration=16", "stage.rows-per-batch=4", "stage.evaluate-every=-1", "roles.rollout.max-new-tokens=32");
        var (rows, odd) = CompareTokens(whole, spread, 3);
        var distance = new[] { "policy", "critic" }.Max(model => Distance(whole, spread, model));
        figures.Check("Six processes against one, 3 iterations of PPO", "same tokens, weights within 1e-6",
            $"{rows} batches of answers, {odd} differ; weights differ by at most {distance:E1}", rows == 12 && odd == 0 && distance <= 1e-6);
    }

    [DataFact]
    [Trait("Category", "Full")]
    public void The_whole_run_reaches_the_reward_of_one_process()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("cluster-whole");
        var (whole, spread) = RunBoth(root);
        var rewards = spread.Curve("eval/reward/score", "evaluate");
        figures.Check("Six processes, PPO word reward, held out", "from about 0.28 (+- 0.08) to >= 0.80", $"{rewards[0].Value:F3} to {rewards[^1].Value:F3}",
            Math.Abs(rewards[0].Value - 0.28) <= 0.08 && rewards[^1].Value >= 0.80);
        var (alone, together) = (whole.Curve("reward/score"), spread.Curve("reward/score"));
        var distance = alone.Zip(together, (a, b) => Math.Abs(a.Value - b.Value)).Max();
        figures.Check("Six processes, reward curve against one process", "40 iterations, the same", $"{together.Count} iterations, at most {distance:E1} apart", together.Count == 40 && alone.Count == 40 && distance == 0);
        var apart = new[] { "policy", "critic" }.Max(model => Distance(whole, spread, model));
        figures.Check("Six processes, weights after 40 iterations against one process", "within 1e-6", $"at most {apart:E1} apart", apart <= 1e-6);
    }

    private static (TrainingRun Whole, TrainingRun Spread) RunBoth(string root, params string[] more)
    {
        var settings = StoryPpo.Settings(root, more);
        using var cluster = ClusterRun.Start(root, "spread", network: null, settings);
        cluster.WaitForEnd(Limit);

        // A product of two matrices may add up in another order with another number of threads.
        using var alone = HostProcess.StartOnOneThread(TrainingRun.Arguments(root, "whole", "ppo", "cluster-ppo.hocon", settings));
        var result = alone.WaitForEnd(Limit);
        Assert.True(result.ExitCode == 0, result.Error);
        return (new TrainingRun(Path.Combine(root, "whole")), cluster.Run);
    }

    // The journal keeps what every batch's answers are, tokens and probabilities, byte for byte.
    private static (int Batches, int Odd) CompareTokens(TrainingRun one, TrainingRun other, int iterations)
    {
        using var first = JournalView.Open(JournalFolder.Of(one.Folder));
        using var second = JournalView.Open(JournalFolder.Of(other.Folder));
        var (batches, odd) = (0, 0);
        for (var iteration = 1; iteration <= iterations; iteration++)
        {
            var answers = second.Of(iteration).Where(record => record.Key.Type == RecordType.Rollout).ToDictionary(record => record.Key.Shard);
            foreach (var record in first.Of(iteration).Where(record => record.Key.Type == RecordType.Rollout))
            {
                batches++;
                if (!answers.TryGetValue(record.Key.Shard, out var twin) || !first.Content(record).AsSpan().SequenceEqual(second.Content(twin)))
                    odd++;
            }
        }

        return (batches, odd);
    }

    private static double Distance(TrainingRun one, TrainingRun other, string model)
    {
        var most = 0.0;
        foreach (var file in Directory.GetFiles(one.Model(model), "*.safetensors").Select(Path.GetFileName))
        {
            var (a, b) = (Numbers(Path.Combine(one.Model(model), file!)), Numbers(Path.Combine(other.Model(model), file!)));
            Assert.Equal(a.Length, b.Length);
            for (var i = 0; i < a.Length; i++)
                most = Math.Max(most, Math.Abs(a[i] - (double)b[i]));
        }

        return most;
    }

    private static float[] Numbers(string file)
    {
        var bytes = File.ReadAllBytes(file);
        return MemoryMarshal.Cast<byte, float>(bytes.AsSpan((int)(sizeof(long) + BinaryPrimitives.ReadInt64LittleEndian(bytes)))).ToArray();
    }
}
