using System.Globalization;
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
        var train = Json("bench", "train", "--json", "--hidden", "64", "--layers", "2", "--heads", "4", "--feed-forward", "128", "--vocabulary", "256", "--batch", "2", "--tokens", "32", "--steps", "3", "--warm-ups", "1", "--strategies", "");
        Assert.True(train.GetProperty("tokens_per_s").GetDouble() > 0);
        Assert.Equal(0, train.GetProperty("strategies").GetArrayLength());
        Assert.True(Positive(train, "baseline_tokens_per_s", "naive_bf16_tokens_per_s", "speedup", "speedup_over_naive_bf16"));
    }

    [Fact]
    [Trait("Category", "CI")]
    public void Strategies_are_measured_with_ranks_in_processes()
    {
        var train = Json(
            "bench", "train", "--json", "--hidden", "64", "--layers", "2", "--heads", "4", "--feed-forward", "128", "--vocabulary", "256", "--batch", "2",
            "--tokens", "32", "--steps", "2", "--warm-ups", "1", "--strategies", "zero2,zero3", "--ranks", "2");
        var strategies = train.GetProperty("strategies").EnumerateArray().ToArray();
        Assert.Equal(["zero2", "zero3"], strategies.Select(entry => entry.GetProperty("strategy").GetString()));
        foreach (var entry in strategies)
        {
            Assert.True(Positive(entry, "tokens_per_s", "of_one_rank", "gemm_share", "communication_s"));
            double Of(string name) => entry.GetProperty(name).GetDouble();
            // Printed with four digits each.
            Assert.Equal(Of("communication_s") - Of("exposed_s"), Of("overlapped_s"), tolerance: 0.001 * Of("communication_s"));
            Assert.Equal(train.GetProperty("loss").GetDouble(), entry.GetProperty("loss").GetDouble(), tolerance: 0.05);
            foreach (var rank in entry.GetProperty("memory_by_rank").EnumerateArray())
            {
                Assert.InRange(rank.GetProperty("total").GetInt64() / (double)entry.GetProperty("theoretical_bytes").GetInt64(), 1, 1.1);
                Assert.True(Positive(rank, "peak_rss_bytes", "rss_before_bytes"));
            }
        }
    }

    [Fact]
    [Trait("Category", "Full")]
    public void Generation_of_a_1b_shape_runs_near_its_gemm_rate()
    {
        using var figures = new Figures();
        var bench = Json("bench", "generate", "--json");
        double Of(string name) => bench.GetProperty(name).GetDouble();
        figures.Check("bench generate, 1.1 B, 32 sequences, bf16", ">= 60 % of GEMM at 32 rows", $"{Of("gemm_share"):P0}", Of("gemm_share") >= 0.6);
        figures.Check("bench generate: speed", "tokens/s, achieved and peak GFLOP/s of one run",
            $"{Of("tokens_per_s"):F1} tokens/s, {Of("gemm_gflops"):F1} of {Of("gemm_peak_gflops"):F1} GFLOP/s", Positive(bench, "tokens_per_s", "gemm_gflops", "gemm_peak_gflops"));
        var phases = bench.GetProperty("phases");
        figures.Check("bench generate: phases", "prefill and decode are the whole", $"{Shown(phases, "prefill_s", "decode_s", "decode_blocks_s", "head_s", "sampling_and_rest_s")}",
            Positive(phases, "prefill_s", "decode_s", "decode_blocks_s", "head_s") && AddsUp(phases, "total_s", "prefill_s", "decode_s"));
    }

    [Fact]
    [Trait("Category", "Full")]
    public void Training_of_the_default_shape_reports_speed_baseline_rate_and_phases()
    {
        using var figures = new Figures();
        var bench = Json("bench", "train", "--json");
        double Of(string name) => bench.GetProperty(name).GetDouble();
        figures.Check("bench train, 98 M, bf16: speed", ">= 2.3 x a plain fp32 loop's",
            $"{Of("tokens_per_s"):F1} tokens/s, {Of("speedup"):F2} x the plain loop's {Of("baseline_tokens_per_s"):F1}", Of("speedup") >= 2.3);
        figures.Check("bench train: GEMM share", ">= 78 % of the products' own rate", $"{Of("gflops"):F1} of {Of("gemm_peak_gflops"):F1} GFLOP/s ({Of("gemm_share"):P0})",
            Of("gemm_share") >= 0.78);
        figures.Check("bench train: naive bf16", ">= 1.1 x a plain loop with master weights", $"{Of("speedup_over_naive_bf16"):F2} x its {Of("naive_bf16_tokens_per_s"):F1}",
            Of("speedup_over_naive_bf16") >= 1.1);
        figures.Check("bench train: bf16 and fp32 products", "both peaks of one run", $"{Of("gemm_peak_bf16_gflops"):F1} and {Of("gemm_peak_fp32_gflops"):F1} GFLOP/s ({Of("gemm_ratio_bf16_fp32"):F2} x)",
            Positive(bench, "gemm_peak_bf16_gflops", "gemm_peak_fp32_gflops", "gemm_ratio_bf16_fp32"));
        var ranks = bench.GetProperty("strategies")[0];
        figures.Check("bench train: two ranks of one thread, zero2, shared memory", ">= 0.85 x one rank of two threads",
            $"{ranks.GetProperty("of_one_rank").GetDouble():F2} x, {Shown(ranks, "communication_s", "exposed_s", "overlapped_s")} a step, {ranks.GetProperty("gemm_share").GetDouble():P0} of the products' own rate", ranks.GetProperty("of_one_rank").GetDouble() >= 0.85);
        var phases = bench.GetProperty("phases");
        figures.Check("bench train: phases", "forward, backward, optimizer", $"{Shown(phases, "forward_s", "backward_s", "optimizer_s")}", Positive(phases, "forward_s", "backward_s", "optimizer_s"));
    }

    [Fact]
    [Trait("Category", "Full")]
    public void Collectives_beside_mpich()
    {
        using var figures = new Figures();
        var bench = Json("bench", "collective", "--json");
        foreach (var (kind, asked) in new[] { ("shared-memory", 2.5), ("ring", 1.0) })
        {
            foreach (var ranks in new[] { "2", "4" })
            {
                var (bus, peer) = (bench.GetProperty("bus_gb_s").GetProperty(kind).GetProperty(ranks).GetDouble(), bench.GetProperty("peer_bus_gb_s"));
                var ratio = bench.GetProperty("peer_ratio").GetProperty(kind).GetProperty(ranks).GetDouble();
                figures.Check($"bench collective, 64 MiB, {kind}, {ranks} ranks", $">= {asked.ToString("F1", CultureInfo.InvariantCulture)} x MPICH",
                    $"{ratio:F2} x, {bus:F2} of {peer.GetProperty(ranks).GetDouble():F2} GB/s", ratio >= asked);
            }
        }
    }

    [Fact]
    [Trait("Category", "Full")]
    public void Blocks_between_processes()
    {
        using var figures = new Figures();
        var bench = Json("bench", "transport", "--json");
        double Of(string name) => bench.GetProperty(name).GetDouble();
        figures.Check("bench transport, 64 MiB, lane over sockets", ">= 0.85 x a plain socket loop", $"{Of("transfer_ratio"):F2} x {Of("socket_mb_s"):F0} MB/s ({Of("tls_ratio"):F2} x with TLS)",
            Of("transfer_ratio") >= 0.85);
        figures.Check("bench transport, 64 MiB, shared memory", ">= 1.5 x a plain socket loop", $"{Of("shared_memory_ratio"):F2} x", Of("shared_memory_ratio") >= 1.5);
        figures.Check("bench transport: 1 GiB to 4 readers over shared memory", "< 1.6 x the time of 1", $"{Of("fanout_ratio"):F2} x", Of("fanout_ratio") < 1.6);
        figures.Check("bench transport: 1 GiB to 4 machines over sockets", "<= 1.1 copies sent by the publisher", $"{Of("publisher_copies"):F2} copies", Of("publisher_copies") <= 1.1);
        figures.Check("bench transport: round trips meanwhile", "< 100 ms at the 99th percentile", $"{Of("control_p99_ms"):F1} ms", Of("control_p99_ms") < 100);
    }

    private static bool Positive(JsonElement at, params string[] names) => names.All(name => at.GetProperty(name).GetDouble() > 0);

    // Printed with four digits each.
    private static bool AddsUp(JsonElement at, string whole, params string[] parts) =>
        Math.Abs(parts.Sum(part => at.GetProperty(part).GetDouble()) / at.GetProperty(whole).GetDouble() - 1) < 0.01;

    private static string Shown(JsonElement at, params string[] names) =>
        string.Join(", ", names.Select(name => string.Create(CultureInfo.InvariantCulture, $"{name[..^2].Replace('_', ' ')} {at.GetProperty(name).GetDouble():F2} s")));

    private static JsonElement Json(params string[] arguments) => JsonDocument.Parse(HostProcess.Succeed(Limit, arguments)).RootElement;
}
