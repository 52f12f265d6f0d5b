using System.Diagnostics;
using System.Text.RegularExpressions;

namespace ColossalChat.EndToEndTests;

/// <summary>What the README shows works. Its first two commands are the quickstart test and this test run itself.</summary>
[Trait("Category", "CI")]
public sealed partial class ReadmeTests
{
    private static readonly string Page = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));

    [Fact]
    public void Every_verb_on_the_page_exists()
    {
        var verbs = ShownVerb().Matches(Page).Select(match => match.Groups[1].Value.Trim())
            .Select(words => string.Join(' ', words.Split(' ').TakeWhile(word => word.All(letter => char.IsAsciiLetterLower(letter) || letter == '-')).Take(2)))
            .Where(words => words.Length > 0).Distinct().ToArray();
        Assert.True(verbs.Length >= 10, $"Found only {string.Join(", ", verbs)}.");
        Assert.All(verbs, verb => HostProcess.Succeed(TimeSpan.FromMinutes(1), [.. Known(verb), "--help"]));
    }

    [Fact]
    public async Task The_plugin_walk_through_builds_and_verifies()
    {
        var folder = Repository.NewFolder("readme");
        var block = Page[Page.IndexOf("## Write a plugin", StringComparison.Ordinal)..].Split("```")[1];
        var steps = block.Split('\n').Where(line => line.Length > 0 && !line.StartsWith("export", StringComparison.Ordinal) && !line.StartsWith("colossalchat train", StringComparison.Ordinal));
        var script = $$"""
            set -euo pipefail
            export COLOSSALCHAT_HOME='{{HostProcess.Home}}'
            colossalchat() { dotnet "$COLOSSALCHAT_HOME/ColossalChat.Host.dll" "$@"; }
            {{string.Join('\n', steps)}}
            """;
        var start = new ProcessStartInfo("bash") { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(script);
        using var shell = Process.Start(start)!;
        var error = shell.StandardError.ReadToEndAsync();
        var output = await shell.StandardOutput.ReadToEndAsync();
        await shell.WaitForExitAsync();
        Assert.True(shell.ExitCode == 0, $"{script}\n{output}\n{await error}");
    }

    [GeneratedRegex(@"(?:^|`)colossalchat ([a-z][^`\n]*)", RegexOptions.Multiline)]
    private static partial Regex ShownVerb();

    // Verbs of one word are followed by arguments, which may look like words too.
    private static string[] Known(string verb) => verb.Split(' ') is [("train" or "chat" or "generate" or "doctor" or "env") and var one, ..] ? [one] : verb.Split(' ');
}
