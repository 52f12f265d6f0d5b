using System.Text.Json;

namespace ColossalChat.EndToEndTests;

/// <summary>stories260K through host, plugin folder and model equals an independent implementation.</summary>
[Trait("Category", "CI")]
public sealed class StoriesTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);
    private static readonly string Model = TestData.Folder is null ? "" : Repository.DataPath("stories260K");

    [DataFact]
    public void Greedy_text_is_the_golden_one()
    {
        using var figures = new Figures();
        using var golden = Golden();
        var cases = golden.RootElement.GetProperty("cases").EnumerateArray().ToArray();
        var equal = cases.Count(one =>
        {
            var expected = one.GetProperty("greedy_text").GetString();
            var tokens = one.GetProperty("greedy_ids").GetArrayLength();
            var json = HostProcess.Succeed(Limit, "generate", "--model", Model, "--prompt", one.GetProperty("prompt").GetString()!,
                "--max-tokens", $"{tokens}", "--temperature", "0", "--json");
            return JsonDocument.Parse(json).RootElement.GetProperty("text").GetString() == expected;
        });
        figures.Check("stories260K greedy text", $"all {cases.Length} cases", $"{equal} of {cases.Length}", equal == cases.Length);
    }

    [DataFact]
    public void Log_probabilities_are_the_golden_ones()
    {
        using var figures = new Figures();
        using var golden = Golden();
        var worst = 0.0;
        foreach (var one in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            var ids = string.Join(',', one.GetProperty("prompt_ids").EnumerateArray().Select(id => id.GetInt32()));
            var logits = JsonDocument.Parse(HostProcess.Succeed(Limit, "model", "logits", "--model", Model, "--ids", ids, "--json")).RootElement;
            worst = Math.Max(worst, Distance(Numbers(logits, "next_logprobs"), Numbers(one, "prompt_logprobs")));
            // The golden file keeps the first eight of the whole vocabulary.
            var last = Numbers(logits, "last");
            Assert.Equal(512, last.Length);
            worst = Math.Max(worst, Distance(last[..8], Numbers(one, "last_logprobs_first8")));
        }

        figures.Check("stories260K log-probabilities", "within 1e-4", $"{worst:E1}", worst < 1e-4);
    }

    [DataFact]
    public void Perplexity_is_the_golden_one()
    {
        using var figures = new Figures();
        using var golden = Golden();
        var expected = golden.RootElement.GetProperty("perplexity").GetProperty("perplexity").GetDouble();
        var json = HostProcess.Succeed(Limit, "eval", "perplexity", "--model", Model, "--text", Repository.DataPath("text", "tinystories.txt"), "--json");
        var seen = JsonDocument.Parse(json).RootElement.GetProperty("perplexity").GetDouble();
        figures.Check("stories260K perplexity", $"{expected:F3} within 0.1 %", $"{seen:F4}", Math.Abs(seen / expected - 1) < 0.001);
    }

    private static JsonDocument Golden() => JsonDocument.Parse(File.ReadAllText(Path.Combine(Model, "golden.json")));

    private static double[] Numbers(JsonElement at, string name) => [.. at.GetProperty(name).EnumerateArray().Select(number => number.GetDouble())];

    private static double Distance(double[] seen, double[] expected)
    {
        Assert.Equal(expected.Length, seen.Length);
        return expected.Zip(seen).Max(pair => Math.Abs(pair.First - pair.Second));
    }
}
