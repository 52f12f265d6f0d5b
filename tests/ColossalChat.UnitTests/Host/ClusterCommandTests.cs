using System.Text.Json;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Cli;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class ClusterCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("colossalchat-cluster-").FullName;
    private readonly string _file;

    public ClusterCommandTests()
    {
        _file = Path.Combine(_folder, "run.hocon");
        File.WriteAllText(_file, $$"""colossalchat { run { folder = "{{_folder}}", name = story } }""");
    }

    private string Run => Path.Combine(_folder, "story");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Status_prints_nodes_roles_queues_and_what_is_missing()
    {
        var silent = FakeCoordinator.Node("b", "rollout") with { IsReachable = false };
        var status = FakeCoordinator.StatusOf(FakeCoordinator.Node("a", "coordinator", "reward"), silent) with { Missing = "role critic needs 1 nodes; 0 are there" };
        using var coordinator = new FakeCoordinator(Run, status);

        var (code, output, _) = await RunAsync("cluster", "status", _file);

        Assert.Equal(ExitCode.Ok, code);
        Assert.Contains("attempt 3, last iteration 12", output, StringComparison.Ordinal);
        Assert.Contains("led by a", output, StringComparison.Ordinal);
        Assert.Contains("waiting: role critic needs 1 nodes", output, StringComparison.Ordinal);
        Assert.Matches("(?m)^a +127.0.0.1 +up .* 1.2.3 +coordinator,reward +rollout \\(2\\)$", output);
        Assert.Matches("(?m)^b +127.0.0.1 +SILENT ", output);
    }

    [Fact]
    public async Task Status_as_JSON_is_one_document()
    {
        using var coordinator = new FakeCoordinator(Run, FakeCoordinator.StatusOf(FakeCoordinator.Node("a", "coordinator")));

        var (code, output, _) = await RunAsync("cluster", "status", _file, "--json");

        using var page = JsonDocument.Parse(output);
        Assert.Equal(ExitCode.Ok, code);
        Assert.True(page.RootElement.GetProperty("is_led").GetBoolean());
        var node = page.RootElement.GetProperty("nodes")[0];
        Assert.Equal(("a", 0.25), (node.GetProperty("name").GetString(), node.GetProperty("clock_ahead").GetDouble()));
        Assert.Equal(2, node.GetProperty("queues").GetProperty("rollout").GetDouble());
    }

    [Fact]
    public async Task A_status_that_nobody_writes_any_more_says_since_when()
    {
        FakeCoordinator.Write(Run, FakeCoordinator.StatusOf(FakeCoordinator.Node("a")) with { Time = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero) });

        var (code, output, _) = await RunAsync("cluster", "status", _file);
        var (asked, _, error) = await RunAsync("cluster", "stop", _file);

        Assert.Equal((ExitCode.NotFound, ExitCode.NotFound), (code, asked));
        Assert.Contains("nobody leads since 2026-01-02 03:04:05Z", output, StringComparison.Ordinal);
        Assert.Contains("Nobody leads the run", error, StringComparison.Ordinal);
        Assert.Empty(RunControl.Pending(Run));
    }

    [Fact]
    public async Task Status_of_a_run_that_has_ended_says_how()
    {
        FakeCoordinator.Write(Run, FakeCoordinator.StatusOf(FakeCoordinator.Node("a")));
        var term = new CoordinatorTerm(Run, "a");
        term.Lead();
        term.End(new RunOver(ExitCode.Ok, "Ended after iteration 12."));

        var (code, output, _) = await RunAsync("cluster", "status", _file);

        Assert.Equal(ExitCode.Ok, code);
        Assert.Contains("it has ended: Ended after iteration 12.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_any_coordinator_the_next_step_is_named()
    {
        var (code, _, error) = await RunAsync("cluster", "status", _file);

        Assert.Equal(ExitCode.NotFound, code);
        Assert.Contains("--roles coordinator", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_without_a_run_name_is_refused()
    {
        var (code, _, error) = await RunAsync("cluster", "status", _file, "run.name=");

        Assert.Equal(ExitCode.Invalid, code);
        Assert.Contains("run.name is empty", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("stop", "", ExitCode.Ok)]
    [InlineData("leave", "b", ExitCode.NotFound)]
    public async Task What_is_asked_gets_the_coordinators_answer_and_exit_code(string verb, string node, ExitCode expected)
    {
        ControlRequest? asked = null;
        using var coordinator = new FakeCoordinator(Run, FakeCoordinator.StatusOf(FakeCoordinator.Node("a")), request =>
        {
            asked = request;
            return new ControlAnswer(expected, "this is the answer");
        });

        var (code, output, _) = await RunAsync(["cluster", verb, _file, .. node.Length > 0 ? (string[])[node] : []]);

        Assert.Equal((expected, "this is the answer"), (code, output.Trim()));
        Assert.Equal((verb, node), (asked?.Kind, asked?.Arguments.GetValueOrDefault(RunControl.Node, "")));
    }

    [Fact]
    public async Task A_swap_finds_a_run_on_nodes()
    {
        await File.WriteAllTextAsync(Path.Combine(Directory.CreateDirectory(Run).FullName, "env.json"), "{}");
        var candidate = Directory.CreateDirectory(Path.Combine(_folder, "candidate")).FullName;
        File.Copy(typeof(ClusterCommandTests).Assembly.Location, Path.Combine(candidate, "Mine.dll"));
        using var coordinator = new FakeCoordinator(Run, FakeCoordinator.StatusOf(FakeCoordinator.Node("a")), request => new ControlAnswer(ExitCode.Failed, $"{request.Kind} refused"));

        var (code, output, _) = await RunAsync("plugin", "swap", "Mine", candidate, "--run", Run);

        Assert.Equal((ExitCode.Failed, "swap refused"), (code, output.Trim()));
    }

    private static async Task<(ExitCode Code, string Output, string Error)> RunAsync(params string[] args)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await HostProgram.RunAsync(args, output, error, isTerminal: false);
        return (code, output.ToString(), error.ToString());
    }
}
