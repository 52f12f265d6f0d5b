using System.CommandLine;
using ColossalChat.Contracts;
using ColossalChat.Host.Commands;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Cli;

/// <summary>The program from its arguments to its exit code.</summary>
internal static class HostProgram
{
    private static readonly ParserConfiguration s_parser = new()
    {
        // A prompt may begin with @, and -vx is a typing error.
        ResponseFileTokenReplacer = null,
        EnablePosixBundling = false,
    };

    /// <summary>Runs one verb.</summary>
    /// <param name="args">Command line.</param>
    /// <param name="output">Results.</param>
    /// <param name="error">Progress and remarks.</param>
    /// <param name="isTerminal">True when <paramref name="error"/> is a terminal.</param>
    public static async Task<ExitCode> RunAsync(IReadOnlyList<string> args, TextWriter output, TextWriter error, bool isTerminal)
    {
        // Plugins bring verbs, so the two flags that decide about plugins are read before the verbs are known.
        var early = new VerbTree();
        early.Root.TreatUnmatchedTokensAsErrors = false;
        var flags = early.Root.Parse(args, s_parser);
        var isVerbose = flags.GetValue(early.Verbose);
        var console = new HostConsole(error, isTerminal);
        try
        {
            string[] folders = [.. HostServices.ShippedFolders, .. flags.GetValue(early.PluginFolders) ?? []];
            using var catalog = PluginCatalog.Load(folders, PinsOf(args, folders), line => HostServices.ReportPlugin(console, isVerbose, line));
            return await RunAsync(args, new HostServices(catalog, console, isVerbose) { Arguments = args }, output).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            return Explain(failure, isVerbose, error);
        }
    }

    // A pinned plugin must be checked before any of its code runs, so the pins are read before the verbs are known.
    private static Dictionary<string, string> PinsOf(IReadOnlyList<string> args, string[] folders)
    {
        // --config=FILE is one word.
        var words = args.Select(word => word.StartsWith("--", StringComparison.Ordinal) ? word[(word.IndexOf('=', StringComparison.Ordinal) + 1)..] : word);
        if (words.FirstOrDefault(word => word.EndsWith(".hocon", StringComparison.OrdinalIgnoreCase) && File.Exists(word)) is not { } file)
            return [];
        try
        {
            // Plugins of the run's own folder are loaded, and checked, with the run; so is a pin of a plugin that is nowhere.
            var names = PluginCatalog.NamesIn(folders);
            return RunBinder.PinsIn(ConfigLoader.LoadFile(file, [])).Where(pin => names.Contains(pin.Key)).ToDictionary();
        }
        catch (UserErrorException)
        {
            return []; // The verb reads the file again and says what is wrong with it.
        }
    }

    /// <summary>One line for a failure; more with <c>-v</c>.</summary>
    internal static ExitCode Explain(Exception failure, bool isVerbose, TextWriter error)
    {
        if (failure is AggregateException { InnerExceptions: [var single] })
            failure = single;
        var (message, code) = failure switch
        {
            UserErrorException user => (user.Message, user.ExitCode),
            OperationCanceledException => ("Stopped.", ExitCode.Interrupted),
            OutOfMemoryException => ($"Out of memory: {failure.Message} Use a smaller model, batch or context.", ExitCode.Resource),
            _ => ($"{failure.GetType().Name}: {failure.Message.ReplaceLineEndings(" ")}{(isVerbose ? "" : " (run again with -v for details)")}", ExitCode.Failed),
        };
        error.WriteLine(message);
        if (isVerbose)
            error.WriteLine(failure);
        return code;
    }

    private static async Task<ExitCode> RunAsync(IReadOnlyList<string> args, HostServices host, TextWriter output)
    {
        using var log = new NodeLog(host.Console, host.IsVerbose);
        using var node = new NodeContext(new NodeSetup(host.Catalog) { Log = log, Devices = host.Devices });
        var tree = BuildTree(host, node);
        var parsed = tree.Root.Parse(args, s_parser);
        if (parsed.Action is { ClearsParseErrors: true } || (parsed.Errors.Count == 0 && tree.VerbOf(parsed.CommandResult.Command) is null))
            return await ShowAsync(parsed, output, host.Console.Error).ConfigureAwait(false);
        if (tree.VerbOf(parsed.CommandResult.Command) is not { } verb)
            return await HelpAsync(tree, parsed, args, output, host.Console).ConfigureAwait(false);
        if (parsed.Errors.Count > 0 || VerbTree.StrangeOptions(parsed).Count > 0)
            return Usage(parsed, host.Console);
        var options = verb.Options.Read(parsed);
        using var stop = new StopSignals(host);
        var context = new CliContext(node, output, host.Console.Error, new StageRunner(host));
        return await verb.Verb.RunAsync(options, context, stop.Token).ConfigureAwait(false);
    }

    private static VerbTree BuildTree(HostServices host, NodeContext node)
    {
        var tree = new VerbTree();
        foreach (var verb in HostVerbs.All(host))
            tree.Add(verb);
        foreach (var name in host.Catalog.NamesOf(typeof(ICliCommand)))
        {
            try
            {
                var verb = node.Resolve<ICliCommand>(name);
                if (!tree.Add(verb))
                    host.Console.Line($"warning: the verb '{verb.Path}' of plugin command '{name}' is taken; it was left out.");
            }
            catch (Exception failure)
            {
                // One broken verb must not take the others away.
                host.Console.Line($"warning: the plugin command '{name}' cannot be made and was left out: {failure.Message}");
            }
        }

        return tree;
    }

    private static ExitCode Usage(ParseResult parsed, HostConsole console)
    {
        foreach (var message in VerbTree.Explain(parsed).Distinct())
            console.Line(message);
        console.Line($"Try: colossalchat {VerbTree.PathOf(parsed)} --help".Replace("  ", " ", StringComparison.Ordinal));
        return ExitCode.Usage;
    }

    // Help pages name the program after its file; people call it colossalchat.
    private static async Task<ExitCode> ShowAsync(ParseResult parsed, TextWriter output, TextWriter error)
    {
        var page = new StringWriter();
        var code = await parsed.InvokeAsync(new InvocationConfiguration { Output = page, Error = error, ProcessTerminationTimeout = null }).ConfigureAwait(false);
        await output.WriteAsync(page.ToString().Replace($"  {RootCommand.ExecutableName} ", "  colossalchat ", StringComparison.Ordinal)).ConfigureAwait(false);
        return (ExitCode)code;
    }

    // A group of verbs does nothing by itself. Nothing at all typed asks for help; anything else is a slip.
    private static async Task<ExitCode> HelpAsync(VerbTree tree, ParseResult parsed, IReadOnlyList<string> args, TextWriter output, HostConsole console)
    {
        if (parsed.UnmatchedTokens.Count > 0)
            return Usage(parsed, console);
        string[] help = [.. VerbTree.PathOf(parsed).Split(' ', StringSplitOptions.RemoveEmptyEntries), "--help"];
        var writer = args.Count == 0 ? output : console.Error;
        await ShowAsync(tree.Root.Parse(help, s_parser), writer, console.Error).ConfigureAwait(false);
        return args.Count == 0 ? ExitCode.Ok : ExitCode.Usage;
    }
}
