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

        Assert.Equal(4 * Parameters, estimate.GetProperty("other_models").GetProperty("reference").GetInt64());
        Assert.Contains("reference", HostProcess.Succeed(Limit, command), StringComparison.Ordinal);
    }
}
