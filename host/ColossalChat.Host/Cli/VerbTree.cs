using System.CommandLine;
using ColossalChat.Contracts;
using ColossalChat.Host.Runs;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Cli;

/// <summary>All verbs as one tree of commands.</summary>
internal sealed class VerbTree
{
    private static readonly Dictionary<string, string> s_groups = new()
    {
        ["config"] = "Check and show run configurations.",
        ["run"] = "Look at runs.",
        ["plugin"] = "Look at plugins and begin new ones.",
        ["model"] = "Look at models and convert them.",
        ["eval"] = "Measure models.",
        ["data"] = "Look at training data.",
        ["bench"] = "Measure speed.",
    };

    private readonly Dictionary<Command, (ICliCommand Verb, VerbOptions Options)> _verbs = [];

    public VerbTree()
    {
        Root = new RootCommand($"ColossalChat for .NET {EnvironmentReport.ProgramVersion}: the RLHF road, every role a plugin.")
        {
            Verbose,
            PluginFolders,
        };
    }

    /// <summary>The program.</summary>
    public RootCommand Root { get; }

    /// <summary>Details in the log, stack traces of errors.</summary>
    public Option<bool> Verbose { get; } = new("--verbose", "-v")
    {
        Description = "Details in the log; stack traces of errors.",
        Recursive = true,
        Arity = ArgumentArity.Zero,
    };

    /// <summary>Plugin folders besides the one beside the program.</summary>
    public Option<string[]> PluginFolders { get; } = new("--plugins")
    {
        Description = "A folder of plugins, besides those shipped with the program. May be repeated.",
        Recursive = true,
        HelpName = "folder",
    };

    /// <summary>Adds a verb under the words of its path.</summary>
    /// <returns>False when another verb has that path already; the first one stays.</returns>
    public bool Add(ICliCommand verb)
    {
        Command parent = Root;
        var words = verb.Path.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        foreach (var word in words.SkipLast(1))
        {
            var group = parent.Subcommands.FirstOrDefault(command => command.Name == word);
            if (group is null)
                parent.Subcommands.Add(group = new Command(word, s_groups.GetValueOrDefault(word)));
            parent = group;
        }

        var existing = parent.Subcommands.FirstOrDefault(command => command.Name == words[^1]);
        if (existing is not null && _verbs.ContainsKey(existing))
            return false;
        var command = existing ?? new Command(words[^1], verb.Summary);
        command.Description = verb.Summary;
        var options = VerbOptions.AddTo(command, verb.OptionsType);
        command.SetAction(_ => (int)ExitCode.Ok);
        if (existing is null)
            parent.Subcommands.Add(command);
        _verbs[command] = (verb, options);
        return true;
    }

    /// <summary>The verb of a command; null for a group of verbs.</summary>
    public (ICliCommand Verb, VerbOptions Options)? VerbOf(Command command) => _verbs.TryGetValue(command, out var verb) ? verb : null;

    /// <summary>Messages for a command line that does not parse.</summary>
    public static IEnumerable<string> Explain(ParseResult parsed)
    {
        var strange = StrangeOptions(parsed);
        foreach (var error in parsed.Errors.Where(error => parsed.UnmatchedTokens.Count == 0 || error.Message != "Required command was not provided."))
            if (!strange.Any(option => error.Message.Contains($"'{option}'", StringComparison.Ordinal)))
                yield return error.Message;
        var command = parsed.CommandResult.Command;
        string[] options = [.. command.Options.Concat(parsed.RootCommandResult.Command.Options).Select(option => option.Name).Distinct()];
        string[] known = [.. command.Subcommands.Select(child => child.Name), .. options];
        foreach (var option in strange)
            yield return NearestName.Of(option, options) is { } meant ? $"unknown option {option}; did you mean {meant}?" : $"unknown option {option}.";
        foreach (var token in parsed.UnmatchedTokens.Except(strange))
            if (NearestName.Of(token, known) is { } nearest)
                yield return $"Did you mean '{nearest}'?";
    }

    /// <summary>
    /// Words that look like options and are none. A verb that takes any number of words would swallow them; after
    /// <c>--</c> words may look as they like.
    /// </summary>
    public static IReadOnlyList<string> StrangeOptions(ParseResult parsed)
    {
        if (parsed.Tokens.Any(token => token.Value == "--"))
            return [];
        var words = parsed.CommandResult.Children.OfType<System.CommandLine.Parsing.ArgumentResult>().SelectMany(argument => argument.Tokens).Select(token => token.Value);
        return [.. words.Concat(parsed.UnmatchedTokens).Where(word => word.Length > 2 && word.StartsWith("--", StringComparison.Ordinal)).Distinct()];
    }

    /// <summary>Words that call a command.</summary>
    public static string PathOf(ParseResult parsed)
    {
        var words = new List<string>();
        for (var result = parsed.CommandResult; result is not null; result = result.Parent as System.CommandLine.Parsing.CommandResult)
            if (result.Command is not RootCommand)
                words.Insert(0, result.Command.Name);
        return string.Join(' ', words);
    }
}
