using System.Text.Json;

namespace ColossalChat.EndToEndTests;

/// <summary>The benchmarks run and say what they measured; the large shape is an acceptance line, not a CI test.</summary>
public sealed class BenchTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(30);

    [Fact]
    [Trait("Category", "CI")]
    public void Small_benches_print_json()
    {
        var generate = Json("bench", "generate", "--json", "--hidden", "64", "--layers", "2", "--heads", "4", "--key-value-heads", "2", "--feed-forward", "128", "--vocabulary", "256", "--sequences", "4", "--new-tokens", "8");
        Assert.True(generate.GetProperty("tokens_per_s").GetDouble() > 0);
        Assert.True(generate.GetProperty("gemm_share").GetDouble() > 0);
        var train = Json("bench", "train", "--json", "--hidden", "64", "--layers", "2", "--heads", "4", "--feed-forward", "128", "--vocabulary", "256", "--batch", "2", "--tokens", "32", "--steps", "3");
        Assert.True(train.GetProperty("tokens_per_s").GetDouble() > 0);
        Assert.True(train.GetProperty("baseline_tokens_per_s").GetDouble() > 0);
    }

    [Fact]
    [Trait("Category", "Full")]
    public void Generation_of_a_1b_shape_runs_near_its_gemm_rate()
    {
        using var figures = new Figures();
        var share = Json("bench", "generate", "--json").GetProperty("gemm_share").GetDouble();
        figures.Check("bench generate, 1.1 B, 32 sequences, bf16", ">= 60 % of GEMM at 32 rows", $"{share:P0}", share >= 0.6);
    }

    private static JsonElement Json(params string[] arguments) => JsonDocument.Parse(HostProcess.Succeed(Limit, arguments)).RootElement;
}
