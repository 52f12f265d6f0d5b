using System.Text.Json;

namespace ColossalChat.EndToEndTests;

/// <summary>Memory is told before a run.</summary>
[Trait("Category", "CI")]
public sealed class EstimateMemoryTests
{
    private const long Parameters = 260_032; // stories260K, tied head.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    [DataFact]
    public void Each_rank_and_model_is_told_without_data_or_weights()
    {
        var root = Repository.NewFolder("estimate");
        // Its weights are not needed.
        var model = Directory.CreateDirectory(Path.Combine(root, "model")).FullName;
        foreach (var file in (string[])["config.json", "tokenizer.model"])
            File.Copy(Path.Combine(Repository.DataPath("stories260K"), file), Path.Combine(model, file));
        string[] settings =
        [
            $"models.policy.path={model}", "models.policy.precision=bfloat16", $"models.reference.path={model}", $"models.critic.path={model}",
            "roles.trainers.policy.engine.sharding.use=zero2", "roles.trainers.critic.engine.sharding.use=gemini",
            "roles.trainers.critic.engine.sharding.placement=disk", "roles.prompts.files=[\"not-there.txt\"]",
        ];
        string[] command = ["model", "estimate-memory", Path.Combine(AppContext.BaseDirectory, "Runs", "story-ppo.hocon"), .. settings, "--ranks", "2"];

        var estimate = JsonDocument.Parse(HostProcess.Succeed(Limit, [.. command, "--json"])).RootElement;

        var ranks = estimate.GetProperty("by_rank").EnumerateArray().ToArray();
        Assert.Equal(2, ranks.Length);
        foreach (var rank in ranks)
        {
            long Of(string name, string kind) => rank.GetProperty("models").GetProperty(name).GetProperty(kind).GetInt64();
            void AssertNear(long expected, string name, string kind) => Assert.InRange(Of(name, kind), expected, expected * 1.03);
            AssertNear(2 * Parameters, "policy", "weights");
            AssertNear(4 * Parameters / 2, "policy", "gradients");
            AssertNear(12 * Parameters / 2, "policy", "states");
            Assert.Equal(0, Of("policy", "on_disk"));
            AssertNear(4 * Parameters / 2, "critic", "weights");
            AssertNear(12 * Parameters / 2, "critic", "on_disk");
            Assert.Equal(0, Of("critic", "states"));
        }

        long Whole(string kind) => estimate.GetProperty(kind).GetInt64();
        var reference = estimate.GetProperty("other_models").GetProperty("reference").GetInt64();
        Assert.Equal(4 * Parameters, reference);
        // Two copies of float32 weights and moments, of both models but of each parameter once; the critic's head is small.
        Assert.InRange(Whole("copies_bytes"), 2 * 24 * Parameters, (long)(2 * 24 * Parameters * 1.01));
        Assert.Equal(ranks.Sum(rank => rank.GetProperty("memory_bytes").GetInt64()) + reference + Whole("copies_bytes"), Whole("memory_bytes"));
        Assert.Equal(0, Whole("publications_bytes"));
        var table = HostProcess.Succeed(Limit, command);
        Assert.Contains("reference", table, StringComparison.Ordinal);
        Assert.Contains("copies of states", table, StringComparison.Ordinal);
        Assert.Contains("On several nodes, the machine of trainer rank 0 holds 3.0 MiB of published weights besides", table, StringComparison.Ordinal);

        // Three publications of a bf16 policy and a float32 critic; the critic's head is small.
        var lagging = JsonDocument.Parse(HostProcess.Succeed(Limit, [.. command, "flow.staleness=1", "--json"])).RootElement;
        Assert.InRange(lagging.GetProperty("publications_bytes").GetInt64(), 3 * 6 * Parameters, (long)(3 * 6 * Parameters * 1.01));
    }

    [DataTheory]
    [InlineData(0, 0)]
    [InlineData(5, 1)]
    public void Without_safe_points_there_is_the_last_checkpoints_copy(int every, int copies)
    {
        string[] settings = [.. InstructTests.SftSettings, "flow.safe-point-share=0", $"run.checkpoint-every={every}"];
        var json = HostProcess.Succeed(Limit, ["model", "estimate-memory", Path.Combine(AppContext.BaseDirectory, "Runs", "sft-instruct.hocon"), .. settings, "--json"]);
        Assert.Equal(copies * 12 * Parameters, JsonDocument.Parse(json).RootElement.GetProperty("copies_bytes").GetInt64());
    }

    [DataFact]
    public void Four_ranks_share_what_one_would_hold()
    {
        using var figures = new Figures();
        const double slack = 1.03;
        var alone = Rank("none", 1);
        foreach (var strategy in new[] { "zero1", "zero2", "zero3" })
        {
            var rank = Rank(strategy, 4);
            figures.Check($"Optimiser and master bytes of one of 4 ranks, {strategy}", "<= total / 4 + 3 %",
                $"{rank.States:N0} of {alone.States:N0}", rank.States <= alone.States / 4 * slack);
        }

        // A block of stories260K: norms, four attention matrices with half as many key-value heads, three of 64 x 172.
        const double block = 2 * (64 + 64 + (64 * 64 * 2) + (64 * 32 * 2) + (3 * 64 * 172));
        var third = Rank("zero3", 4);
        figures.Check("Parameter bytes at rest of one of 4 ranks, zero3", "<= total / 4 + a block + 3 %",
            $"{third.Weights:N0} of {alone.Weights:N0}", third.Weights <= ((alone.Weights / 4) + block) * slack);
    }

    private static (double Weights, double States) Rank(string strategy, int ranks)
    {
        string[] settings = [.. InstructTests.SftSettings, "models.policy.precision=bfloat16", $"roles.trainers.policy.engine.sharding={strategy}"];
        var json = HostProcess.Succeed(Limit,
            ["model", "estimate-memory", Path.Combine(AppContext.BaseDirectory, "Runs", "sft-instruct.hocon"), .. settings, "--ranks", $"{ranks}", "--json"]);
        var policy = JsonDocument.Parse(json).RootElement.GetProperty("by_rank")[0].GetProperty("models").GetProperty("policy");
        return (policy.GetProperty("weights").GetDouble(), policy.GetProperty("states").GetDouble());
    }
}
