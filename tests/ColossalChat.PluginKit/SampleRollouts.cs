using ColossalChat.Contracts;

namespace ColossalChat.PluginKit;

/// <summary>Rollouts to try roles with.</summary>
public static class SampleRollouts
{
    /// <summary>Prompts and answers as text; answers end with the tokenizer's stop token except where a length limit did.</summary>
    public static Rollout OfTexts(ITokenizer tokenizer, params (string Prompt, string Answer)[] rows) =>
        Of(
            tokenizer.Hash,
            [.. rows.Select(row => tokenizer.EncodeDocument(row.Prompt).ToArray())],
            [.. rows.Select((row, i) => i % 3 == 2 ? [.. tokenizer.Encode(row.Answer)] : (int[])[.. tokenizer.Encode(row.Answer), tokenizer.EosIds[0]])]);

    /// <summary>A few answers of very different lengths in two languages.</summary>
    public static Rollout Texts(ITokenizer tokenizer) => OfTexts(
        tokenizer,
        ("Once upon a time", " there was a happy dog. The dog loved to play with a kind friend."),
        ("Say hello.", "Hi"),
        ("The girl was", " sad and cried"),
        ("你好", "你好!很高兴见到你。"));

    /// <summary>Random ids below a vocabulary's size, rows of different lengths, two answers to each prompt.</summary>
    public static Rollout OfRandomIds(string tokenizerHash, int vocabularySize, int rows = 4, int longest = 9)
    {
        var key = new RandomKey(7, RandomPurpose.Data);
        var prompts = new int[rows][];
        var answers = new int[rows][];
        for (var row = 0; row < rows; row++)
        {
            prompts[row] = Ids(key with { Prompt = row / 2 }, 3 + (row / 2 % 3), vocabularySize);
            answers[row] = Ids(key with { Prompt = row, Sample = 1 }, 1 + ((row * 4) % longest), vocabularySize);
        }

        return Of(tokenizerHash, prompts, answers);
    }

    /// <summary>Chosen rows of a rollout in the order given.</summary>
    public static Rollout Pick(Rollout rollout, IReadOnlyList<int> rows)
    {
        var prompts = rollout.Prompts;
        return rollout with
        {
            Prompts = prompts with
            {
                Tokens = prompts.Tokens.Pick(rows),
                PromptIds = [.. rows.Select(row => prompts.PromptIds[row])],
                SampleIndexes = [.. rows.Select(row => prompts.SampleIndexes[row])],
                DataJson = [.. rows.Select(row => prompts.DataJson[row])],
            },
            Tokens = rollout.Tokens.Pick(rows),
            LogProbs = rollout.LogProbs.Pick(rows),
            IsTarget = rollout.IsTarget.Pick(rows),
            WeightVersions = rollout.WeightVersions.Pick(rows),
            FinishReasons = [.. rows.Select(row => rollout.FinishReasons[row])],
        };
    }

    private static int[] Ids(RandomKey key, int count, int vocabularySize) =>
        [.. Enumerable.Range(0, count).Select(i => (int)(key.Uniform(i) * vocabularySize))];

    private static Rollout Of(string tokenizerHash, int[][] prompts, int[][] answers)
    {
        var rows = prompts.Length;
        var batch = new PromptBatch(
            new BatchId(1, 0),
            Ragged.FromRows(prompts),
            [.. Enumerable.Range(0, rows).Select(row => (long)(row / 2))],
            [.. Enumerable.Range(0, rows).Select(row => row % 2)],
            [.. Enumerable.Repeat("{}", rows)],
            tokenizerHash);
        return new Rollout(
            batch,
            Ragged.FromRows(answers),
            Ragged.FromRows(answers.Select(answer => answer.Select((_, i) => -0.5f - (0.1f * i)).ToArray())),
            Ragged.FromRows(answers.Select(answer => answer.Select(_ => true).ToArray())),
            Ragged.FromRows(answers.Select(answer => answer.Select(_ => 1L).ToArray())),
            [.. Enumerable.Range(0, rows).Select(row => row % 3 == 2 ? FinishReason.Length : FinishReason.Stop)]);
    }
}
