using System.Text.Json;

namespace ColossalChat.EndToEndTests;

/// <summary>stories260K through host, plugin folder and model equals an independent implementation.</summary>
[Trait("Category", "CI")]
public sealed class StoriesTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);
    private static readonly string Model = Repository.Data is null ? "" : Repository.DataPath("stories260K");

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
            worst = Math.Max(worst, Distance(logits.GetProperty("next_logprobs"), one.GetProperty("prompt_logprobs")));
            worst = Math.Max(worst, Distance(logits.GetProperty("last"), one.GetProperty("last_logprobs_first8")));
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

    private static double Distance(JsonElement seen, JsonElement expected) =>
        expected.EnumerateArray().Zip(seen.EnumerateArray()).Max(pair => Math.Abs(pair.First.GetDouble() - pair.Second.GetDouble()));
}
