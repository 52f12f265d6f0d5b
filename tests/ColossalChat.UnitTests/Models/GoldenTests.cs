using ColossalChat.Contracts;
using ColossalChat.Models.Generation;
using Xunit;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class GoldenTests
{
    [DataFact]
    public void Greedy_text_of_each_prompt_is_the_reference_text()
    {
        using var model = Stories.Load();
        using var generator = new TextGenerator(model, null);
        foreach (var golden in Stories.Cases())
        {
            var answer = Assert.Single(generator.Generate([Stories.Greedy(golden.Prompt, golden.Greedy.Length)], default));
            Assert.Equal(golden.Greedy, answer.Ids);
            Assert.Equal(FinishReason.Length, answer.FinishReason);
        }
    }

    [DataFact]
    public void Greedy_text_is_the_reference_text_When_ragged_prompts_run_together()
    {
        using var model = Stories.Load();
        using var generator = new TextGenerator(model, null);
        var cases = Stories.Cases();
        var answers = generator.Generate([.. cases.Select((golden, i) => Stories.Greedy(golden.Prompt, golden.Greedy.Length - (7 * i)))], default);
        for (var i = 0; i < cases.Count; i++)
            Assert.Equal(cases[i].Greedy[..^(7 * i)], answers[i].Ids);
    }

    [DataFact]
    public void Log_probabilities_are_the_reference_numbers()
    {
        using var model = Stories.Load();
        var judge = new LanguageModel(model);
        var cases = Stories.Cases();
        var rows = judge.LogProbs(Ragged.FromRows(cases.Select(golden => golden.Prompt)), default);
        for (var i = 0; i < cases.Count; i++)
        {
            Near(cases[i].PromptLogProbs, rows[i].ToArray());
            Near(cases[i].LastFirst8, judge.NextLogProbs(cases[i].Prompt, default)[..8]);
        }
    }

    private static void Near(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.InRange(actual[i], expected[i] - 1e-4, expected[i] + 1e-4);
    }
}
