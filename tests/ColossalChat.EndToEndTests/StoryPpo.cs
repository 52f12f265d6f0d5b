using System.Text.RegularExpressions;

namespace ColossalChat.EndToEndTests;

/// <summary>Settings of PPO runs on stories260K that cannot stand in a file: where the data is.</summary>
public static partial class StoryPpo
{
    /// <summary>Model folders and prompts, then more settings.</summary>
    public static string[] Settings(string root, params string[] more)
    {
        var model = Repository.DataPath("stories260K");
        var beginnings = Path.Combine(root, "beginnings.txt");
        File.WriteAllText(beginnings, string.Join("\n\n", Beginnings()));
        return
        [
            $"models.policy.path={model}",
            $"models.reference.path={model}",
            $"models.critic.path={model}",
            $"roles.prompts.files=[\"{beginnings}\"]",
            .. more,
        ];
    }

    // First sentences of first paragraphs: "One day" begins as many middles as stories, and a sentence cut in two says less of
    // how it will go on.
    private static IEnumerable<string> Beginnings() =>
        File.ReadAllText(Repository.DataPath("text", "tinystories.txt"))
            .Split("\n\n", StringSplitOptions.RemoveEmptyEntries)
            .Select(paragraph => paragraph.Trim())
            .Where(paragraph => paragraph.StartsWith("Once upon a time", StringComparison.Ordinal))
            .Select(paragraph => FirstSentence().Match(paragraph).Value);

    [GeneratedRegex("^.*?[.!?]\"?(?=\\s|$)", RegexOptions.Singleline)]
    private static partial Regex FirstSentence();
}
