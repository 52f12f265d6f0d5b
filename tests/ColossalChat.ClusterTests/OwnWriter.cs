using ColossalChat.Contracts;

namespace ColossalChat.Cluster.Tests;

/// <summary>One of several writers, of which each answers in its own way.</summary>
/// <param name="number">From 1.</param>
/// <param name="inner">Answers.</param>
/// <param name="before">Runs before each call, with the writer and what it does.</param>
internal sealed class OwnWriter(int number, FakeRollout inner, Action<int, string> before) : IRolloutRole
{
    /// <summary>Who wrote it.</summary>
    public static int NumberOf(Rollout rollout) => (int)-rollout.LogProbs[0].Span[0];

    public Rollout Generate(PromptBatch prompts, CancellationToken cancel)
    {
        before(number, $"generate {prompts.Batch}");
        var answers = inner.Generate(prompts, cancel);
        return answers with
        {
            Tokens = new Ragged<int>(answers.Tokens.Offsets, answers.Tokens.Values.ToArray().Select(token => (token + number) % 97).ToArray()),
            LogProbs = new Ragged<float>(answers.LogProbs.Offsets, answers.LogProbs.Values.ToArray().Select(value => value - number).ToArray()),
        };
    }

    public void LoadWeights(WeightsPublication publication, CancellationToken cancel)
    {
        before(number, $"load {publication.Model} {publication.Version}");
        inner.LoadWeights(publication, cancel);
    }

    public void Dispose() => inner.Dispose();
}
