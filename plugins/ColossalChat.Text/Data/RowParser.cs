using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Turns one JSON object into a row of a given shape.</summary>
internal static class RowParser
{
    private static readonly string[] _answers = ["output", "completion", "response"];
    private static readonly string[] _prompts = ["instruction", "prompt", "question"];
    private static readonly string[] _turns = ["messages", "conversations", "conversation"];

    /// <summary>Tells the shape by the fields of a row.</summary>
    /// <exception cref="BadRowException">No shape has such fields.</exception>
    public static DataFormat ShapeOf(JsonElement row)
    {
        if (row.ValueKind != JsonValueKind.Object)
            throw new BadRowException($"the row is {RowFields.KindOf(row)}; it must be an object");
        var fields = new RowFields(row);
        if (fields.Has("chosen") && fields.Has("rejected"))
            return DataFormat.Preference;
        if (fields.FirstOf(_turns) is not null)
            return DataFormat.Conversation;
        if (fields.FirstOf(_prompts) is not null)
            return Array.Exists(_answers, fields.HasText) ? DataFormat.Alpaca : DataFormat.Prompt;
        return fields.HasText("text")
            ? DataFormat.Text
            : throw new BadRowException($"its fields ({fields.Names()}) are of no known shape; known: instruction + output, messages or conversations, chosen + rejected, prompt, text");
    }

    /// <summary>Reads a row.</summary>
    /// <exception cref="BadRowException">It is not of that shape.</exception>
    public static DataRow Parse(string file, int number, JsonElement row, DataFormat shape)
    {
        if (row.ValueKind != JsonValueKind.Object)
            throw new BadRowException($"the row is {RowFields.KindOf(row)}; it must be an object");
        var fields = new RowFields(row);
        var (prompt, answer, rejected) = shape switch
        {
            DataFormat.Preference => Preference(fields),
            DataFormat.Conversation => Conversation(fields),
            DataFormat.Alpaca => (Instruction(fields), fields.NeedText(fields.FirstOf(_answers) ?? "output"), null),
            DataFormat.Prompt => (PromptOf(fields), null, null),
            DataFormat.Text => ([], fields.NeedText("text"), null),
            _ => throw new ArgumentOutOfRangeException(nameof(shape), shape, "a row has one shape"),
        };
        return new DataRow(file, number, prompt, answer, rejected, fields.Rest());
    }

    private static (List<ChatMessage> Prompt, string? Answer, string? Rejected) Conversation(RowFields fields)
    {
        var name = fields.FirstOf(_turns) ?? throw new BadRowException($"field 'messages' is missing; fields here: {fields.Names()}");
        var turns = WithSystem(fields, RowFields.Turns(fields.Take(name)!.Value, $"field '{name}'"));
        return turns[^1].Role == ChatRole.Assistant ? (turns[..^1], turns[^1].Content, null) : (turns, null, null);
    }

    private static (List<ChatMessage> Prompt, string? Answer, string? Rejected) Preference(RowFields fields)
    {
        var chosen = fields.Take("chosen") ?? throw new BadRowException($"field 'chosen' is missing; fields here: {fields.Names()}");
        var rejected = fields.Take("rejected") ?? throw new BadRowException($"field 'rejected' is missing; fields here: {fields.Names()}");
        var hasPrompt = fields.FirstOf([.. _turns, "context", .. _prompts]) is not null;
        var prompt = hasPrompt ? PromptOf(fields) : null;
        var (before, better) = Side(chosen, "field 'chosen'");
        var (beforeToo, worse) = Side(rejected, "field 'rejected'");
        prompt ??= before;
        if (prompt is null || (before ?? prompt).Count != prompt.Count || !(before ?? prompt).SequenceEqual(prompt) || !(beforeToo ?? prompt).SequenceEqual(prompt))
            throw new BadRowException(hasPrompt
                ? "chosen and rejected must be one answer each to the same prompt"
                : "there is no prompt: give a field 'prompt' or 'conversations', or both answers as whole conversations that begin alike");
        return (prompt, better, worse);
    }

    // An answer is a text, a turn, or a list that ends with one; what stands before it in a list is the prompt again.
    private static (List<ChatMessage>? Before, string Answer) Side(JsonElement value, string what)
    {
        if (value.ValueKind == JsonValueKind.String)
            return (null, value.GetString() is { } text && !string.IsNullOrWhiteSpace(text) ? text : throw new BadRowException($"{what} is empty"));
        if (value.ValueKind is JsonValueKind.Array && value.GetArrayLength() != 1)
        {
            var turns = RowFields.Turns(value, what);
            return turns[^1].Role == ChatRole.Assistant ? (turns[..^1], turns[^1].Content) : throw new BadRowException($"{what} does not end with an answer");
        }

        var turn = RowFields.Turn(value.ValueKind == JsonValueKind.Array ? value[0] : value, what);
        return turn.Role == ChatRole.Assistant ? (null, turn.Content) : throw new BadRowException($"{what} is by {turn.Role}, not by the assistant");
    }

    private static List<ChatMessage> PromptOf(RowFields fields)
    {
        var name = fields.FirstOf([.. _turns, "context", .. _prompts]) ?? throw new BadRowException($"field 'prompt' is missing; fields here: {fields.Names()}");
        if (fields.HasText(name))
            return _prompts.Contains(name) ? Instruction(fields) : [new(ChatRole.User, fields.NeedText(name))];
        var turns = RowFields.Turns(fields.Take(name)!.Value, $"field '{name}'");
        return turns[^1].Role == ChatRole.Assistant ? WithSystem(fields, turns[..^1]) : WithSystem(fields, turns);
    }

    private static List<ChatMessage> Instruction(RowFields fields)
    {
        var turns = new List<ChatMessage>();
        if (fields.Take("history") is { ValueKind: JsonValueKind.Array } history)
        {
            foreach (var turn in history.EnumerateArray())
            {
                if (turn.ValueKind != JsonValueKind.Array || turn.GetArrayLength() != 2)
                    throw new BadRowException("field 'history' must be a list of [question, answer] pairs");
                turns.Add(new(ChatRole.User, RowFields.TextOf(turn[0], "a question in 'history'")));
                turns.Add(new(ChatRole.Assistant, RowFields.TextOf(turn[1], "an answer in 'history'")));
            }
        }

        var instruction = fields.NeedText(fields.FirstOf(_prompts) ?? "instruction");
        var input = fields.TakeText("input");
        turns.Add(new(ChatRole.User, instruction) { Input = string.IsNullOrWhiteSpace(input) ? null : input });
        return WithSystem(fields, turns);
    }

    private static List<ChatMessage> WithSystem(RowFields fields, List<ChatMessage> turns)
    {
        var system = fields.TakeText("system");
        return string.IsNullOrWhiteSpace(system) || turns[0].Role == ChatRole.System ? turns : [new(ChatRole.System, system), .. turns];
    }
}
