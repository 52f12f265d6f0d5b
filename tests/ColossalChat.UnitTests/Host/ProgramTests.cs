using ColossalChat.Contracts;
using ColossalChat.Host.Cli;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class ProgramTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("colossalchat-program-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(ExitCode.Ok)]
    [InlineData(ExitCode.Ok, "--help")]
    [InlineData(ExitCode.Ok, "--version")]
    [InlineData(ExitCode.Ok, "train", "--help")]
    [InlineData(ExitCode.Ok, "env")]
    [InlineData(ExitCode.Usage, "config")]
    [InlineData(ExitCode.Usage, "trian")]
    [InlineData(ExitCode.Usage, "train")]
    [InlineData(ExitCode.Usage, "train", "ppo", "x.hocon", "--max-steps", "many")]
    [InlineData(ExitCode.Usage, "train", "ppo", "x.hocon", "--max-steps", "0")]
    [InlineData(ExitCode.Usage, "env", "--jsno")]
    [InlineData(ExitCode.NotFound, "train", "ppo", "no-such-file.hocon")]
    [InlineData(ExitCode.NotFound, "run", "show", "no-such-run")]
    [InlineData(ExitCode.NotFound, "run", "list", "--folder", "no-such-folder")]
    public async Task An_exit_code_says_what_happened(ExitCode expected, params string[] args) =>
        Assert.Equal(expected, (await RunAsync(args)).Code);

    [Fact]
    public async Task An_unknown_verb_gets_the_nearest_one_on_standard_error()
    {
        var (_, output, error) = await RunAsync("trian");

        Assert.Equal("", output);
        Assert.Contains("Did you mean 'train'?", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("unknown option --maxsteps; did you mean --max-steps?", "train", "ppo", "x.hocon", "--maxsteps", "2")]
    [InlineData("unknown option --jsno; did you mean --json?", "env", "--jsno")]
    public async Task An_unknown_option_is_told_once_with_the_nearest_one(string expected, params string[] args)
    {
        var (code, _, error) = await RunAsync(args);

        Assert.Equal(ExitCode.Usage, code);
        Assert.Equal(expected, error.Split('\n')[0].Trim());
        Assert.Equal(2, error.Trim().Split('\n').Length);
    }

    [Fact]
    public async Task Runs_are_listed_and_found_below_the_folder_too()
    {
        var nested = Directory.CreateDirectory(Path.Combine(_folder, "quickstart", "runs", "ppo")).FullName;
        await File.WriteAllTextAsync(Path.Combine(nested, "env.json"), "{\"command_line\": \"train ppo\"}");
        await File.WriteAllTextAsync(Path.Combine(nested, "metrics.jsonl"), "{\"iteration\":3,\"purpose\":\"train\",\"time\":\"2026-01-01T00:00:00Z\",\"metrics\":{\"train/loss\":1}}\n");

        var (_, listed, _) = await RunAsync("run", "list", "--folder", _folder);
        var (_, shown, _) = await RunAsync("run", "show", "ppo", "--folder", _folder);

        Assert.StartsWith("RUN ", listed, StringComparison.Ordinal);
        Assert.Contains(Path.Combine("quickstart", "runs", "ppo"), listed, StringComparison.Ordinal);
        Assert.Contains("last iteration 3", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_that_is_shown_names_its_checkpoints_and_the_best()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "env.json"), "{\"command_line\": \"train sft\"}");
        foreach (var (iteration, loss) in new[] { (10, "1.25"), (20, "2.5") })
        {
            var checkpoint = Directory.CreateDirectory(Path.Combine(_folder, "checkpoints", $"step-000000{iteration}")).FullName;
            await File.WriteAllTextAsync(Path.Combine(checkpoint, "manifest.json"), $$"""
                { "format": 2, "iteration": {{iteration}}, "epoch": 1, "files": [], "score": { "rule": { "metric": "eval/loss", "bestIs": "Lower" }, "value": {{loss}} } }
                """);
        }

        var (_, shown, _) = await RunAsync("run", "show", _folder);

        Assert.Contains("step-00000010, eval/loss 1.25, the best\n", shown, StringComparison.Ordinal);
        Assert.Contains("step-00000020, eval/loss 2.5\n", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_list_without_runs_says_where_it_looked()
    {
        var (code, output, error) = await RunAsync("run", "list", "--folder", _folder);

        Assert.Equal((ExitCode.Ok, ""), (code, output));
        Assert.Contains($"There is no run in {_folder}", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_that_cannot_begin_says_why_in_one_line_and_leaves_no_folder()
    {
        var file = Path.Combine(_folder, "run.hocon");
        await File.WriteAllTextAsync(file, $$"""
            colossalchat {
              run { folder = "{{Path.Combine(_folder, "runs")}}" }
              models { policy { path = "{{Path.Combine(_folder, "nowhere")}}" } }
              roles { batches { files = ["rows.jsonl"] } }
            }
            """);

        var (code, output, error) = await RunAsync("--plugins", ShippedPlugins.Folder, "train", "sft", file);

        Assert.Equal((ExitCode.NotFound, ""), (code, output));
        // Both roles want the model; which of them is first is chance.
        var line = Assert.Single(error.Split('\n'), line => line.Contains("nowhere", StringComparison.Ordinal));
        Assert.Matches("^error: (batches|trainers.policy) failed to open: models.policy.path: ", line);
        Assert.DoesNotContain("akka://", error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_folder, "runs")));
    }

    [Fact]
    public async Task All_problems_of_a_configuration_are_printed_at_once()
    {
        var file = Path.Combine(_folder, "run.hocon");
        await File.WriteAllTextAsync(file, "colossalchat {\n seed = minus\n run { nmae = x\n keep-checkpoints = 0 }\n flow { batches-in-flight = 0 }\n extra += 1\n}\n");

        var (code, output, _) = await RunAsync("config", "validate", file);

        Assert.Equal(ExitCode.Invalid, code);
        Assert.Contains($"{file}:2: colossalchat.seed:", output, StringComparison.Ordinal);
        Assert.Contains($"{file}:3: colossalchat.run.nmae: unknown key 'nmae'. Did you mean 'name'?", output, StringComparison.Ordinal);
        Assert.Contains($"{file}:4: colossalchat.run.keep-checkpoints:", output, StringComparison.Ordinal);
        Assert.Contains($"{file}:5: colossalchat.flow.batches-in-flight:", output, StringComparison.Ordinal);
        Assert.Contains($"{file}:6: colossalchat.extra: '+=' is not supported", output, StringComparison.Ordinal);
        Assert.Contains("colossalchat.stage", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_json_standard_output_is_one_document()
    {
        var (_, output, _) = await RunAsync("env", "--json");

        using var document = System.Text.Json.JsonDocument.Parse(output);
        Assert.True(document.RootElement.TryGetProperty("cores", out _));
    }

    [Fact]
    public void A_stack_trace_is_printed_only_when_asked_for()
    {
        var (brief, full) = (new StringWriter(), new StringWriter());
        var failure = Assert.Throws<InvalidOperationException>(Break);

        Assert.Equal(ExitCode.Failed, HostProgram.Explain(failure, isVerbose: false, brief));
        Assert.Equal(ExitCode.Failed, HostProgram.Explain(failure, isVerbose: true, full));
        Assert.Equal("InvalidOperationException: broken (run again with -v for details)", brief.ToString().Trim());
        Assert.Contains("   at ", full.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_user_error_is_printed_as_it_is_with_its_own_code()
    {
        var error = new StringWriter();

        Assert.Equal(ExitCode.Resource, HostProgram.Explain(new UserErrorException("Port 80 is taken.", ExitCode.Resource), isVerbose: false, error));
        Assert.Equal("Port 80 is taken.", error.ToString().Trim());
    }

    private static void Break() => throw new InvalidOperationException("broken");

    private static async Task<(ExitCode Code, string Output, string Error)> RunAsync(params string[] args)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await HostProgram.RunAsync(args, output, error, isTerminal: false);
        return (code, output.ToString(), error.ToString());
    }
}
