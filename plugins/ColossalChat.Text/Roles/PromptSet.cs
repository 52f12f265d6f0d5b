using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>A prompt ready to be answered.</summary>
/// <param name="Id">Place of its row among all good rows of the files.</param>
/// <param name="Ids">BOS, template and invitation included.</param>
/// <param name="DataJson">The row's own fields.</param>
/// <param name="Turns">The conversation that was rendered.</param>
internal sealed record Prompt(long Id, int[] Ids, string DataJson, IReadOnlyList<ChatMessage> Turns);

/// <summary>Prompts of data files, split into those to train on and those set aside.</summary>
internal sealed class PromptSet
{
    private static readonly JsonSerializerOptions _readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Prompts to train on, in file order.</summary>
    public required IReadOnlyList<Prompt> Train { get; init; }

    /// <summary>Prompts set aside, in file order, each different prompt once.</summary>
    public required IReadOnlyList<Prompt> HeldOut { get; init; }

    /// <summary>Rows left out.</summary>
    public required Tally Dropped { get; init; }

    /// <summary>Renders the rows of a dataset.</summary>
    /// <param name="dataset">Rows to render.</param>
    /// <param name="text">Tokenizer and template of the model that answers.</param>
    /// <param name="options">Limits and split.</param>
    /// <param name="context">Tokens that the model takes, answer included; null where its folder does not say.</param>
    public static PromptSet Of(IDataset dataset, TextModel text, PromptSourceOptions options, int? context)
    {
        var dropped = new Tally();
        dropped.Add(dataset.Problems);
        var (prompts, keys) = (new List<Prompt>(), new List<string>());
        for (var id = 0; id < dataset.Rows.Count; id++)
        {
            var row = dataset.Rows[id];
            if (TurnsOf(row, options.BeginningWords) is not { } turns)
            {
                dropped.Add("short", $"shorter than the {options.BeginningWords} words of a beginning", row);
                continue;
            }

            var ids = text.Template.Encode(turns, forAnswer: true).Ids;
            if (ids.Length > options.MaxPromptTokens)
            {
                dropped.Add("too_long", $"longer than {options.MaxPromptTokens} tokens", row);
                continue;
            }

            if (ids.Length >= context)
            {
                dropped.Add("no_room", $"too long to leave room for an answer in the model's {context} tokens", row);
                continue;
            }

            prompts.Add(new Prompt(id, ids, DataJsonOf(row), turns));
            keys.Add(HeldOutSplit.KeyOf(row with { Prompt = turns }));
        }

        var isHeldOut = HeldOutSplit.Choose(keys, options.HeldOut);
        return new PromptSet
        {
            Train = [.. prompts.Where((_, i) => !isHeldOut[i])],
            HeldOut = [.. prompts.Where((_, i) => isHeldOut[i]).Zip(keys.Where((_, i) => isHeldOut[i])).DistinctBy(pair => pair.Second).Select(pair => pair.First)],
            Dropped = dropped,
        };
    }

    private static IReadOnlyList<ChatMessage>? TurnsOf(DataRow row, int beginningWords)
    {
        if (row.Prompt.Count > 0)
            return row.Prompt;
        var beginning = beginningWords == 0 ? row.Answer : BeginningOf(row.Answer ?? "", beginningWords);
        return beginning is null ? null : [new ChatMessage(ChatRole.User, beginning)];
    }

    // Words are what spaces part; the answer goes on with the space before the next word.
    private static string? BeginningOf(string text, int words)
    {
        var inWord = false;
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsWhiteSpace(text[i]) == !inWord)
                continue;
            inWord = !inWord;
            if (!inWord && --words == 0)
                return text[..i];
        }

        return null;
    }

    // An answer of the data goes along as a reference for rewards.
    private static string DataJsonOf(DataRow row)
    {
        if (row.Answer is null || row.Prompt.Count == 0)
            return row.FieldsJson;
        var fields = JsonNode.Parse(row.FieldsJson)!.AsObject();
        if (!fields.ContainsKey("answer"))
            fields["answer"] = row.Answer;
        return fields.ToJsonString(_readable);
    }

    /// <summary>A hash of everything handed out.</summary>
    public string Fingerprint(ulong seed)
    {
        using var fingerprint = new DataFingerprint();
        fingerprint.Add<ulong>([seed]);
        foreach (var prompts in new[] { Train, HeldOut })
        {
            fingerprint.Add<int>([prompts.Count]);
            foreach (var prompt in prompts)
                fingerprint.Add<int>(prompt.Ids).Add<byte>(Encoding.UTF8.GetBytes(prompt.DataJson));
        }

        return fingerprint.Finish();
    }
}
