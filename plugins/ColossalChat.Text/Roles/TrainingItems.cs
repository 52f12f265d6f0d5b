using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>One data row as sequences: one for an answer to learn, two (chosen, rejected) for a pair.</summary>
/// <param name="Key">Its prompt; decides on which side of the split it is.</param>
/// <param name="Sequences">Encoded sequences.</param>
internal sealed record TrainingItem(string Key, EncodedChat[] Sequences)
{
    /// <summary>Tokens of the longest sequence.</summary>
    public int Length => Sequences.Max(sequence => sequence.Ids.Length);
}

/// <summary>What became of a dataset's rows.</summary>
/// <param name="Items">Good rows.</param>
/// <param name="Dropped">Rows left out.</param>
/// <param name="Truncated">Rows that were cut.</param>
internal sealed record TrainingItems(IReadOnlyList<TrainingItem> Items, Tally Dropped, int Truncated)
{
    /// <summary>Answers to learn: all answers of a row with the stop token after each, and plain text as a whole.</summary>
    public static TrainingItems OfAnswers(IDataset dataset, TextModel text, int maxTokens, bool truncate)
    {
        var (items, dropped, truncated) = (new List<TrainingItem>(), new Tally(), 0);
        dropped.Add(dataset.Problems);
        foreach (var row in dataset.Rows)
        {
            if (Encode(row, text) is not { } chat)
            {
                dropped.Add("no_answer", "without an answer to learn", row);
                continue;
            }

            var isCut = chat.Ids.Length > maxTokens;
            if (!chat.IsTarget.AsSpan(0, Math.Min(maxTokens, chat.Ids.Length)).Contains(true))
            {
                dropped.Add("prompt_too_long", $"whose prompt alone fills {maxTokens} tokens", row);
            }
            else if (isCut && !truncate)
            {
                dropped.Add("too_long", $"longer than {maxTokens} tokens", row);
            }
            else
            {
                truncated += isCut ? 1 : 0;
                items.Add(new TrainingItem(HeldOutSplit.KeyOf(row), [isCut ? new(chat.Ids[..maxTokens], chat.IsTarget[..maxTokens]) : chat]));
            }
        }

        return new TrainingItems(items, dropped, truncated);
    }

    /// <summary>Pairs. Cutting a pair could make both sides equal, so what is too long is left out whole.</summary>
    public static TrainingItems OfPairs(IDataset dataset, TextModel text, int maxTokens)
    {
        var (items, dropped) = (new List<TrainingItem>(), new Tally());
        dropped.Add(dataset.Problems);
        foreach (var row in dataset.Rows)
        {
            if (EncodePair(row, text) is not { } sides)
                dropped.Add("no_answer", "without both answers of a pair", row);
            else if (sides.Any(side => side.Ids.Length > maxTokens))
                dropped.Add("too_long", $"longer than {maxTokens} tokens on one side (pairs are never cut)", row);
            else if (sides[0].Ids.AsSpan().SequenceEqual(sides[1].Ids))
                dropped.Add("equal", "whose two answers are equal", row);
            else
                items.Add(new TrainingItem(HeldOutSplit.KeyOf(row), sides));
        }

        return new TrainingItems(items, dropped, Truncated: 0);
    }

    /// <summary>A pair as two sequences, chosen and rejected; null when a row is none.</summary>
    public static EncodedChat[]? EncodePair(DataRow row, TextModel text)
    {
        if (row.Answer is null || row.Rejected is null || row.Prompt.Count == 0)
            return null;
        var prompt = text.Template.Encode(row.Prompt, forAnswer: true).Ids.Length;
        return [LastAnswer(row.Answer), LastAnswer(row.Rejected)];

        EncodedChat LastAnswer(string answer)
        {
            var chat = text.Template.Encode([.. row.Prompt, new(ChatRole.Assistant, answer)], forAnswer: false);
            // Earlier answers belong to the prompt here.
            chat.IsTarget.AsSpan(0, prompt).Clear();
            return chat;
        }
    }

    /// <summary>A row as one sequence; null when there is nothing to learn from it.</summary>
    public static EncodedChat? Encode(DataRow row, TextModel text)
    {
        if (row.Prompt.Count == 0)
            return row.Answer is null ? null : Document(row.Answer, text.Tokenizer);
        if (row.Answer is not null)
            return text.Template.Encode([.. row.Prompt, new(ChatRole.Assistant, row.Answer)], forAnswer: false);
        // A conversation that ends with a question: the answers before it can be learned.
        var last = row.Prompt.ToList().FindLastIndex(message => message.Role == ChatRole.Assistant);
        return last < 0 ? null : text.Template.Encode([.. row.Prompt.Take(last + 1)], forAnswer: false);
    }

    private static EncodedChat Document(string content, ITokenizer tokenizer)
    {
        int[] ids = [.. tokenizer.EncodeDocument(content), tokenizer.EosIds[0]];
        return new EncodedChat(ids, [.. Enumerable.Range(0, ids.Length).Select(i => i > 0)]);
    }
}
