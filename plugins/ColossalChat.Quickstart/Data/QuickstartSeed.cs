using System.Text.Json;

namespace ColossalChat.Quickstart.Data;

/// <summary>A list of operands split in two: what training may use and what only held-out rows use.</summary>
/// <param name="Train">Words of training rows.</param>
/// <param name="HeldOut">Reserved words; in no prompt and no answer of training.</param>
public sealed record WordSplit(IReadOnlyList<string> Train, IReadOnlyList<string> HeldOut);

/// <summary>One task in one language: frames with {slots}, filled by <see cref="TaskGenerator"/>.</summary>
/// <param name="Name">The task's name, such as <c>add</c>.</param>
/// <param name="Prompts">Frames of the question, at least one.</param>
/// <param name="Plain">Frames of right answers that are not polite, at least one.</param>
/// <param name="Polite">Frames of right and polite answers; empty means a polite opening before a plain answer.</param>
/// <param name="Wrong">Frames of wrong answers; empty means the slot <paramref name="Answer"/> is filled wrongly.</param>
/// <param name="Answer">The slot that carries the result; empty when <paramref name="Wrong"/> is given.</param>
/// <param name="HeldOut">Number of held-out rows; 0 for tasks that cannot generalise to unseen words.</param>
/// <param name="Share">Weight of the task among training rows, at least 1.</param>
public sealed record TaskSeed(
    string Name,
    IReadOnlyList<string> Prompts,
    IReadOnlyList<string> Plain,
    IReadOnlyList<string> Polite,
    IReadOnlyList<string> Wrong,
    string Answer,
    int HeldOut,
    int Share);

/// <summary>Everything the seed file says about one language.</summary>
public sealed record LanguageSeed
{
    /// <summary><c>en</c> or <c>zh</c>.</summary>
    public required string Language { get; init; }

    /// <summary>What a polite answer may begin with, trailing space included.</summary>
    public required IReadOnlyList<string> PoliteOpenings { get; init; }

    /// <summary>What a rude answer begins with, trailing space included.</summary>
    public required IReadOnlyList<string> RudeOpenings { get; init; }

    /// <summary>The number words of 0 to 9.</summary>
    public required IReadOnlyList<string> Digits { get; init; }

    /// <summary>The number words of 10, 20, ... 90.</summary>
    public required IReadOnlyList<string> Tens { get; init; }

    /// <summary>Family names, one character each; empty in English.</summary>
    public required string Surnames { get; init; }

    /// <summary>Characters of given names; empty in English.</summary>
    public required string Given { get; init; }

    /// <summary>Names of people.</summary>
    public required WordSplit Names { get; init; }

    /// <summary>Words to copy, reverse, spell and count.</summary>
    public required WordSplit Words { get; init; }

    /// <summary>Further words that are only spelled out letter by letter; empty in Chinese.</summary>
    public required WordSplit Spelled { get; init; }

    /// <summary>Things that are refused when asked for.</summary>
    public required WordSplit Secrets { get; init; }

    /// <summary>Deeds that are refused when asked for.</summary>
    public required WordSplit Harms { get; init; }

    /// <summary>Colour word and its translation; training only.</summary>
    public required IReadOnlyList<KeyValuePair<string, string>> Colours { get; init; }

    /// <summary>Word and its opposite; training only.</summary>
    public required IReadOnlyList<KeyValuePair<string, string>> Opposites { get; init; }

    /// <summary>The tasks in the order of the file.</summary>
    public required IReadOnlyList<TaskSeed> Tasks { get; init; }
}

/// <summary>The quickstart's seed file (<c>quickstart-seed.json</c>, our own text, embedded in this assembly).</summary>
public sealed class QuickstartSeed
{
    private const string Resource = "ColossalChat.Quickstart.Data.quickstart-seed.json";

    private QuickstartSeed(JsonElement root)
    {
        Licence = root.GetProperty("licence").GetString()!;
        HeldOutNumbers = [.. root.GetProperty("numbers").GetProperty("held-out").EnumerateArray().Select(n => n.GetInt32())];
        English = ReadLanguage("en", root.GetProperty("en"));
        Chinese = ReadLanguage("zh", root.GetProperty("zh"));
    }

    /// <summary>The licence of the file's text.</summary>
    public string Licence { get; }

    /// <summary>The two-digit numbers that no training prompt names, in digits or in words; a training answer may, as the result of others.</summary>
    public IReadOnlyList<int> HeldOutNumbers { get; }

    /// <summary>The English part.</summary>
    public LanguageSeed English { get; }

    /// <summary>The Chinese part.</summary>
    public LanguageSeed Chinese { get; }

    /// <summary>Both languages, English first.</summary>
    public IReadOnlyList<LanguageSeed> Languages => [English, Chinese];

    /// <summary>Reads the embedded file.</summary>
    public static QuickstartSeed Load()
    {
        using var stream = typeof(QuickstartSeed).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"The assembly carries no resource {Resource}; the project file must embed quickstart-seed.json under that LogicalName.");
        using var document = JsonDocument.Parse(stream);
        return new QuickstartSeed(document.RootElement);
    }

    /// <summary>The part of one language.</summary>
    /// <param name="language"><c>en</c> or <c>zh</c>.</param>
    public LanguageSeed Of(string language) => language switch
    {
        "en" => English,
        "zh" => Chinese,
        _ => throw new ArgumentException($"The quickstart knows the languages en and zh, not '{language}'.", nameof(language)),
    };

    private static LanguageSeed ReadLanguage(string language, JsonElement at) => new()
    {
        Language = language,
        PoliteOpenings = Strings(at, "polite-openings"),
        RudeOpenings = Strings(at, "rude-openings"),
        Digits = Strings(at, "digits"),
        Tens = Strings(at, "tens"),
        Surnames = Text(at, "surnames"),
        Given = Text(at, "given"),
        Names = Split(at, "names"),
        Words = Split(at, "words"),
        Spelled = at.TryGetProperty("spelled", out _) ? Split(at, "spelled") : new WordSplit([], []),
        Secrets = Split(at, "secrets"),
        Harms = Split(at, "harms"),
        Colours = Pairs(at, "colours"),
        Opposites = Pairs(at, "opposites"),
        Tasks = [.. at.GetProperty("tasks").EnumerateObject().Select(task => ReadTask(task.Name, task.Value))],
    };

    private static TaskSeed ReadTask(string name, JsonElement at) => new(
        name,
        Strings(at, "prompts"),
        Strings(at, "plain"),
        Strings(at, "polite"),
        Strings(at, "wrong"),
        Text(at, "answer"),
        at.GetProperty("held-out").GetInt32(),
        at.GetProperty("share").GetInt32());

    private static string Text(JsonElement at, string key) =>
        at.TryGetProperty(key, out var value) ? value.GetString()! : "";

    private static string[] Strings(JsonElement at, string key) =>
        at.TryGetProperty(key, out var value) ? [.. value.EnumerateArray().Select(s => s.GetString()!)] : [];

    private static WordSplit Split(JsonElement at, string key) =>
        new(Strings(at.GetProperty(key), "train"), Strings(at.GetProperty(key), "held-out"));

    private static KeyValuePair<string, string>[] Pairs(JsonElement at, string key) =>
        [.. at.GetProperty(key).EnumerateObject().Select(p => KeyValuePair.Create(p.Name, p.Value.GetString()!))];
}
