using System.Globalization;

namespace ColossalChat.EndToEndTests;

/// <summary>
/// PPO on six processes, in which one thing goes wrong at a random time: the run comes to its end by itself, every sample
/// counts once, and the weights are those of a run in one process that nobody disturbed, bit for bit.
/// </summary>
public sealed class ChaosTests
{
    /// <summary>Numbers of the runs, with commas, for whoever looks at some of them; all of them otherwise.</summary>
    private const string RunsVariable = "COLOSSALCHAT_CHAOS_RUNS";

    [DataFact]
    [Trait("Category", "CI")]
    public Task One_of_each_class_killed() => RunAsync([0, 1, 2], iterations: 5);

    [DataFact]
    [Trait("Category", "Full")]
    public Task Thirty_runs_with_a_fault_each()
    {
        var named = Environment.GetEnvironmentVariable(RunsVariable);
        return RunAsync(string.IsNullOrEmpty(named) ? [.. Enumerable.Range(0, ChaosPlan.Runs)] : [.. named.Split(',').Select(number => int.Parse(number, CultureInfo.InvariantCulture))], iterations: 20);
    }

    private static async Task RunAsync(int[] numbers, int iterations)
    {
        using var figures = new Figures();
        var (bench, results) = (new ChaosBench(iterations), new List<ChaosResult>());
        foreach (var number in numbers)
            results.Add(await TryAsync(bench, ChaosPlan.Of(number, iterations)));

        var good = results.Count(result => result.Problem.Length == 0);
        figures.Check($"Chaos, {numbers.Length} runs of {iterations} iterations on six processes", "all end by themselves, every sample counts once, weights of an undisturbed run bit for bit",
            $"{good} of {numbers.Length}: {string.Join(", ", results.GroupBy(result => result.Plan.Kind).Select(group => $"{group.Count()} {group.Key}"))}", good == numbers.Length);
        foreach (var (whom, seconds) in new[] { (FaultClass.Stateless, 8), (FaultClass.Trainer, 20), (FaultClass.Coordinator, 20) })
        {
            var times = results.Where(result => result.Plan.Class == whom).Select(result => result.Recovery.TotalSeconds).Order().ToArray();
            if (times.Length > 0)
                figures.Check($"Recovery, {whom.ToString().ToLowerInvariant()}, {times.Length} kills and pauses", $"median below {seconds} s",
                    $"median {times[times.Length / 2]:F1} s, {times[0]:F1} to {times[^1]:F1} s", times[times.Length / 2] < seconds || !Figures.IsTableWanted);
        }

        var all = string.Join("\n", results);
        await File.WriteAllTextAsync(Path.Combine(bench.Root, "report.txt"), all);
        Assert.True(good == numbers.Length, all);
    }

    // One that fails must not hide what becomes of the others.
    private static async Task<ChaosResult> TryAsync(ChaosBench bench, ChaosPlan plan)
    {
        try
        {
            return await bench.RunAsync(plan);
        }
        catch (Exception error)
        {
            return new ChaosResult(plan, TimeSpan.Zero, null, error.Message);
        }
    }
}
