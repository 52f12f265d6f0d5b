using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace ColossalChat.EndToEndTests;

/// <summary>What the README shows works. Its first two commands are the quickstart test and this test run itself.</summary>
[Trait("Category", "CI")]
public sealed partial class ReadmeTests
{
    private static readonly string Page = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));

    // What stands for the reader's own names on the page, and what makes a command short enough for a test.
    private static readonly (string Shown, string Run)[] Stand =
    [
        ("sft\\|reward-model\\|ppo FILE.hocon [key=value ...]", "ppo short-ppo.hocon run.folder=runs run.name=A --max-steps 1"),
        ("train ppo FILE.hocon --resume latest", "train ppo short-ppo.hocon run.folder=runs run.name=A --resume latest --max-steps 2"),
        ("run compare A B", "run compare A A"),
        ("run show RUN", "run show A"),
        ("run metrics RUN", "run metrics A"),
        ("run replay RUN", "run replay A"),
        ("--text FILE", "--text story.txt"),
        ("FILE", "alpaca.json"),
        ("DIR", "models/policy"),
        ("TEXT", "'Once upon a time'"),
        ("bench train", "bench train --hidden 64 --layers 2 --heads 4 --feed-forward 128 --vocabulary 256 --batch 2 --tokens 32 --steps 3 --warm-ups 1"),
        ("bench generate", "bench generate --hidden 64 --layers 2 --heads 4 --key-value-heads 2 --feed-forward 128 --vocabulary 256 --sequences 4 --new-tokens 8"),
        ("bench collective", "bench collective --bytes 65536 --ranks 2 --repetitions 2"),
        ("bench transport", "bench transport --block-bytes 1048576 --blocks 4 --turns 1 --publication-bytes 4194304 --readers 2 --publication-turns 1"),
    ];

    [DataFact]
    public async Task Every_command_of_the_table_runs()
    {
        var rows = Section("## The program").Split('\n').Where(line => line.StartsWith("| ", StringComparison.Ordinal)).Skip(1).ToArray();
        var commands = rows.SelectMany(row => Span().Matches(row).Select(span => span.Groups[1].Value))
            .Select(command => command.StartsWith("colossalchat ", StringComparison.Ordinal) ? command : $"colossalchat {command}")
            .Select(command => Stand.Aggregate(command, (text, pair) => text.Replace(pair.Shown, pair.Run, StringComparison.Ordinal)))
            .ToArray();
        Assert.True(commands.Length >= 15, $"Found only {string.Join(", ", commands)}.");
        await Shell(ReadersFolder(), string.Join('\n', commands));
    }

    [DataFact]
    public async Task The_lines_on_own_data_hold()
    {
        var folder = ReadersFolder();
        var section = Section("## Train on your own data");
        var blocks = Blocks(section);
        foreach (var file in blocks.Where(block => block.StartsWith("# my", StringComparison.Ordinal)))
            File.WriteAllText(Path.Combine(folder, file.Split('\n')[0][2..]), file);
        var lines = string.Join('\n', blocks.Single(block => block.Contains("colossalchat train sft", StringComparison.Ordinal)).Trim().Split('\n')
            .Select(line => line.StartsWith("colossalchat", StringComparison.Ordinal) ? $"{line} --dry-run" : line));
        var overlay = Span().Match(section[section.IndexOf("environment variables", StringComparison.Ordinal)..]).Groups[1].Value;
        File.WriteAllText(Path.Combine(folder, "plugins.hocon"), $"include \"base-ppo.hocon\"\ncolossalchat {{\n{blocks[^1]}\n}}");
        await Shell(folder, $"""
            {lines}
            {overlay} colossalchat config print my-ppo.hocon | grep length-reward
            colossalchat train ppo plugins.hocon --dry-run
            """);
    }

    [DataFact]
    public async Task The_lines_on_ranks_hold()
    {
        var folder = ReadersFolder();
        File.WriteAllText(Path.Combine(folder, "ranks.hocon"), $"include \"cluster.hocon\"\ncolossalchat {{\n{Blocks(Section("## Several ranks, models larger than memory"))[0]}\n}}");
        await Shell(folder, """
            colossalchat train ppo ranks.hocon --dry-run
            colossalchat model estimate-memory ranks.hocon | grep -w all
            """);
    }

    [DataFact]
    public async Task The_lines_on_replay_hold()
    {
        var lines = Stand.Aggregate(Blocks(Section("## Replay an iteration"))[0], (text, pair) => text.Replace(pair.Shown, pair.Run, StringComparison.Ordinal));
        await Shell(ReadersFolder(), $"""
            colossalchat train ppo short-ppo.hocon run.folder=runs run.name=A --max-steps 1
            ({lines}) | tee replay.txt
            grep "bit for bit" replay.txt
            grep policy/clip_frac replay.txt
            grep "each used exactly once" replay.txt
            """);
    }

    [DataFact]
    public async Task The_lines_on_several_machines_hold()
    {
        var folder = ReadersFolder();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
        listener.Stop();
        var blocks = Blocks(Section("## Several machines")).Select(block => block.Replace("4053", port, StringComparison.Ordinal)).ToArray();
        File.WriteAllText(Path.Combine(folder, "nodes.hocon"), blocks[0] + "\ncolossalchat { stage { prompts-per-iteration = 8, rows-per-batch = 8, evaluate-every = -1 }, roles.rollout.max-new-tokens = 8 }\n");
        var lines = blocks[1].Trim().Split('\n');
        await Shell(folder, $"""
            {string.Join('\n', lines[..3])}
            for i in $(seq 900); do [ -s runs/story-ppo/metrics.jsonl ] && break; sleep 0.1; done
            {lines[3]} | tee status.txt
            grep -q 'led by' status.txt
            {lines[4]}
            {lines[5].Replace("NODE", "no-such-node", StringComparison.Ordinal)} || [ $? = 4 ]
            {lines[6]}
            wait
            """);
    }

    [DataFact]
    public async Task The_plugin_walk_through_builds_verifies_and_is_used()
    {
        var block = Blocks(Section("## Write a plugin"))[0].Split('\n').Where(line => !line.StartsWith("export", StringComparison.Ordinal));
        await Shell(ReadersFolder(), string.Join('\n', block));
    }

    [DataFact]
    public async Task The_swap_of_a_plugin_finds_the_run_going_on()
    {
        var lines = Blocks(Section("## Swap a plugin while a run goes on"))[0].Trim().Split('\n');
        await Shell(ReadersFolder(), $"""
            colossalchat plugin new reward MyReward
            dotnet build -c Release -v q -nologo MyReward -o my-plugins/MyReward
            set -m
            {lines[0]}
            trap "kill -INT -- -$! || true" EXIT
            for i in $(seq 900); do [ -s runs/mine/metrics.jsonl ] && break; sleep 0.1; done
            {lines[1]} -v q -nologo
            {lines[2]} | tee answer.txt
            grep -q 'MyReward 1.0.0 -> 1.1.0' answer.txt
            kill -INT -- -$!
            wait $! || [ $? = 130 ]
            trap - EXIT
            """);
    }

    // A folder as the page takes for granted: models, data and configurations of the reader.
    private static string ReadersFolder()
    {
        var folder = Repository.NewFolder("readme");
        var quickstart = Path.Combine("runs", "quickstart");
        string[] models = ["models/policy", "models/base", "runs/sft/models/policy", "runs/reward-model/models/reward",
            $"{quickstart}/runs/sft/models/policy", $"{quickstart}/runs/reward-model/models/reward"];
        foreach (var model in models.Select(name => Path.Combine(folder, name)))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(model)!);
            Directory.CreateSymbolicLink(model, Repository.DataPath("stories260K"));
        }

        File.Copy(Path.Combine(Repository.Root, "cluster.hocon"), Path.Combine(folder, "cluster.hocon"));
        File.Copy(Repository.DataPath("instruct", "alpaca_en_demo.json"), Path.Combine(folder, "alpaca.json"));
        File.WriteAllLines(Path.Combine(folder, "pairs.jsonl"), InstructTests.ShortPairs(32));
        var story = string.Join('\n', File.ReadLines(Repository.DataPath("text", "tinystories.txt")).Take(40));
        File.WriteAllText(Path.Combine(folder, "story.txt"), story);
        File.WriteAllText(Path.Combine(folder, "text.txt"), story);
        Directory.CreateDirectory(Path.Combine(folder, quickstart, "data"));
        foreach (var prompts in new[] { "prompts.jsonl", Path.Combine(quickstart, "data", "prompts.jsonl") })
            File.WriteAllLines(Path.Combine(folder, prompts), Enumerable.Range(0, 40).Select(i => $$"""{"prompt": "Once upon a time there were {{i}} cats."}"""));
        File.WriteAllText(Path.Combine(folder, "base-ppo.hocon"), $$"""
            include "{{Path.Combine(AppContext.BaseDirectory, "Runs")}}/story-ppo.hocon"
            colossalchat {
              stage { prompts-per-iteration = 4, rows-per-batch = 4, evaluation-prompts = 4 }
              models { policy.path = models/policy, critic.path = models/policy }
              roles.prompts { files = [prompts.jsonl], held-out = 4 }
              roles.trainers.policy.mini-batches = 1
              roles.trainers.critic.mini-batches = 1
            }
            """);
        File.WriteAllText(Path.Combine(folder, "short-ppo.hocon"), "include \"base-ppo.hocon\"\ncolossalchat.models.reference.path = models/policy");
        return folder;
    }

    private static string Section(string heading)
    {
        var from = Page.IndexOf(heading, StringComparison.Ordinal);
        Assert.True(from >= 0, $"The page has no '{heading}'.");
        var end = Page.IndexOf("\n## ", from + 1, StringComparison.Ordinal);
        return end < 0 ? Page[from..] : Page[from..end];
    }

    private static string[] Blocks(string section) => [.. section.Split("```").Where((_, i) => i % 2 == 1).Select(block => block.TrimStart('\n'))];

    private static async Task Shell(string folder, string commands)
    {
        var script = $$"""
            set -euo pipefail
            export COLOSSALCHAT_HOME='{{HostProcess.Home}}'
            colossalchat() { echo "+ colossalchat $*" >&2; dotnet "$COLOSSALCHAT_HOME/ColossalChat.Host.dll" "$@"; }
            {{commands}}
            """;
        var start = new ProcessStartInfo("bash") { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(script);
        using var shell = Process.Start(start)!;
        shell.StandardInput.Close();
        var error = shell.StandardError.ReadToEndAsync();
        var output = await shell.StandardOutput.ReadToEndAsync();
        await shell.WaitForExitAsync();
        Assert.True(shell.ExitCode == 0, $"{script}\n{output}\n{await error}");
    }

    [GeneratedRegex("`([^`\n]+)`")]
    private static partial Regex Span();
}
