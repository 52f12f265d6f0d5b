using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models;
using ColossalChat.Models.Folders;
using ColossalChat.PluginKit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Models;

/// <summary>stories260K and what an independent implementation computed with it.</summary>
internal static class Stories
{
    public static string Folder => TestData.PathOf("stories260K");

    public static TestNode Node() => new TestNode().With(new ModelsPlugin());

    public static ICausalModel Load(ScalarType precision = ScalarType.Float32) =>
        ModelFolder.Read(Folder).LoadLanguageModel(Node(), precision, CPU, null);

    public static IReadOnlyList<GoldenCase> Cases()
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "golden.json")));
        return [.. json.RootElement.GetProperty("cases").EnumerateArray().Select(c => new GoldenCase(
            Integers(c.GetProperty("prompt_ids")),
            Integers(c.GetProperty("greedy_ids")),
            Numbers(c.GetProperty("prompt_logprobs")),
            Numbers(c.GetProperty("last_logprobs_first8"))))];
    }

    public static GenerationRequest Greedy(ReadOnlyMemory<int> prompt, int tokens) => new()
    {
        Prompt = prompt,
        MaxNewTokens = tokens,
        Sampling = new SamplingOptions { Temperature = 0 },
        StopIds = [1, 2],
    };

    private static int[] Integers(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetInt32())];

    private static float[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetSingle())];
}

internal sealed record GoldenCase(int[] Prompt, int[] Greedy, float[] PromptLogProbs, float[] LastFirst8);
