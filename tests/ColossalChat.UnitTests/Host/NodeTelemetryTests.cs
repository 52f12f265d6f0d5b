using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using Akka.Event;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;
using ColossalChat.Host.Telemetry;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class NodeTelemetryTests : IDisposable
{
    private readonly RunFolder _folder = new(Directory.CreateTempSubdirectory("colossalchat-telemetry-").FullName);
    private readonly StringWriter _console = new();

    public void Dispose() => Directory.Delete(_folder.Path, recursive: true);

    [Fact]
    public async Task Metrics_are_served_as_Prometheus_reads_them()
    {
        using var meter = new Meter(RunTelemetry.Name);
        var batches = meter.CreateCounter<long>("colossalchat.made.up", "{batch}");
        var settings = new TelemetrySettings { PrometheusPort = FreePort() };
        await using (await NodeTelemetry.StartAsync(settings, _folder, "run", "", SilentLog.Instance))
        {
            batches.Add(3, new KeyValuePair<string, object?>("purpose", "train"));
            using var client = new HttpClient();
            var page = await client.GetStringAsync(new Uri($"http://127.0.0.1:{settings.PrometheusPort}/metrics"));

            var line = Assert.Single(page.Split('\n'), line => line.StartsWith("colossalchat_made_up", StringComparison.Ordinal));
            Assert.Contains("purpose=\"train\"", line, StringComparison.Ordinal);
            Assert.Contains(" 3", line, StringComparison.Ordinal);
        }

        // The port is free again for the next stage of the road.
        using var next = new TcpListener(IPAddress.Loopback, settings.PrometheusPort);
        next.Start();
    }

    [Fact]
    public async Task A_port_that_is_taken_is_told_and_the_run_goes_on()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        using var log = new NodeLog(new HostConsole(_console, isTerminal: false), isVerbose: false);

        await using (await NodeTelemetry.StartAsync(new TelemetrySettings { PrometheusPort = port }, _folder, "run", "", log))
            Assert.Contains($"warning: There is no metrics endpoint on 127.0.0.1:{port}: ", _console.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Spans_become_lines_of_the_trace_file()
    {
        using var source = new ActivitySource(RunTelemetry.Name);
        await using (await NodeTelemetry.StartAsync(new TelemetrySettings { TraceFile = true }, _folder, "run", "node-1", SilentLog.Instance))
        {
            using var parent = source.StartActivity("batch");
            using var child = source.StartActivity("generate");
            child!.SetTag("batch", "1.0").SetTag("rows", 4L).SetStatus(ActivityStatusCode.Error, "broken on purpose");
        }

        var lines = JsonLines.Read(_folder.Traces).ToDictionary(line => line.GetProperty("name").GetString()!);
        var (batch, generate) = (lines["batch"], lines["generate"]);
        Assert.Equal(("", batch.GetProperty("span").GetString(), batch.GetProperty("trace").GetString()), (batch.GetProperty("parent").GetString(), generate.GetProperty("parent").GetString(), generate.GetProperty("trace").GetString()));
        Assert.Equal(("broken on purpose", "1.0", 4L), (generate.GetProperty("error").GetString(), generate.GetProperty("attributes").GetProperty("batch").GetString(), generate.GetProperty("attributes").GetProperty("rows").GetInt64()));
        Assert.Equal(JsonValueKind.Null, batch.GetProperty("error").ValueKind);
    }

    [Fact]
    public async Task The_same_batches_are_traced_on_every_node()
    {
        var settings = new TelemetrySettings { TraceFile = true, Traces = 0.5 };
        string[] taken = [await Traced("a"), await Traced("b")];

        Assert.Equal(taken[0], taken[1]);
        Assert.InRange(taken[0].Split(' ').Length, 30, 70);

        async Task<string> Traced(string node)
        {
            var own = new RunFolder(Directory.CreateDirectory(_folder.In(node)).FullName);
            using var source = new ActivitySource(RunTelemetry.Name);
            await using (await NodeTelemetry.StartAsync(settings, own, "run", node, SilentLog.Instance))
                for (var iteration = 1; iteration <= 100; iteration++)
                {
                    var batch = new BatchId(iteration, 0);
                    using var span = source.StartActivity(node, ActivityKind.Internal, new ActivityContext(TraceIds.TraceOf("run", batch), TraceIds.RootOf("run", batch, 1), ActivityTraceFlags.None, isRemote: true));
                }

            return string.Join(' ', JsonLines.Read(own.Traces).Where(line => line.GetProperty("name").GetString() == node).Select(line => line.GetProperty("trace").GetString()));
        }
    }

    [Fact]
    public async Task Nothing_listens_When_nothing_is_asked_for()
    {
        using var source = new ActivitySource(RunTelemetry.Name);
        using var meter = new Meter(RunTelemetry.Name);
        var counter = meter.CreateCounter<long>("colossalchat.idle");
        await using (await NodeTelemetry.StartAsync(new TelemetrySettings(), _folder, "run", "", SilentLog.Instance))
            Assert.Equal((false, false), (source.HasListeners(), counter.Enabled));
        Assert.Empty(Directory.GetFiles(_folder.Path));
        await using (await NodeTelemetry.StartAsync(new TelemetrySettings { TraceFile = true, PrometheusPort = FreePort() }, _folder, "run", "", SilentLog.Instance))
            Assert.Equal((true, true), (source.HasListeners(), counter.Enabled));
    }

    [Theory]
    [InlineData("telemetry.prometheus-port=70000", "prometheus-port is 70000; it must be from 0 (off) to 65535.")]
    [InlineData("telemetry.prometheus-host=a b", "prometheus-host is 'a b'")]
    [InlineData("telemetry.otlp=collector", "otlp is 'collector'; it must be a URL")]
    [InlineData("telemetry.traces=1.5", "traces is 1.5; it must be from 0 (none) to 1 (all batches).")]
    [InlineData("telemetry.trace-files=on", "trace-file")]
    public void Wrong_settings_are_named(string setting, string problem)
    {
        var text = File.ReadAllText(Path.Combine(ShippedPlugins.Root, "cluster.hocon"));
        var (_, problems) = RunBinder.TryBind(MemoryFiles.Load(text, [setting]), ShippedPlugins.Catalog);

        Assert.Contains(problem, string.Join('\n', problems), StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_is_told_from_another_of_the_same_name_and_is_the_same_to_all_its_nodes()
    {
        var tracing = new TelemetrySettings { TraceFile = true };
        var (first, second) = (RunFolder.Create(_folder.In("a"), "ppo", ""), RunFolder.Create(_folder.In("b"), "ppo", ""));
        var ids = AskedForAtOnce(first);

        Assert.StartsWith("ppo@", Assert.Single(ids), StringComparison.Ordinal);
        Assert.NotEqual(ids[0], second.IdentityFor(tracing));
        Assert.Equal(ids[0], first.IdentityFor(tracing));
        Assert.Equal("ppo", first.IdentityFor(new TelemetrySettings()));
        Assert.All(Enumerable.Range(0, 100), round => Assert.Single(AskedForAtOnce(RunFolder.Create(_folder.In("rounds"), $"run-{round}", ""))));
        Assert.Equal(["config.effective.hocon", "identity"], Directory.GetFileSystemEntries(first.Path).Select(Path.GetFileName).Order());

        string[] AskedForAtOnce(RunFolder run) => [.. Enumerable.Range(0, 16).AsParallel().WithDegreeOfParallelism(8).Select(_ => new RunFolder(run.Path + "/").IdentityFor(tracing)).Distinct()];
    }

    [Fact]
    public async Task Log_lines_of_actors_carry_role_and_batch_apart()
    {
        using (var log = new NodeLog(new HostConsole(_console, isTerminal: false), isVerbose: false, _folder.Log, _folder.JsonLog, "node-1"))
        {
            log.Info("run folder made");
            var system = ActorSystem.Create("colossalchat", ActorSystemSetup.Create(
                BootstrapSetup.Create().WithConfig(ConfigurationFactory.ParseString(
                    $"akka {{ loglevel = DEBUG, stdout-loglevel = OFF, loggers = [\"{typeof(AkkaLog).AssemblyQualifiedName}\"] }}")),
                new AkkaLogSetup(log)));
            system.ActorOf(Props.Create(() => new Above()), "run-7").Tell("go");
            await system.WhenTerminated.WaitAsync(TimeSpan.FromSeconds(20));
        }

        var lines = JsonLines.Read(_folder.JsonLog).Select(line => line.Deserialize<LogLine>(JsonLines.Format)!).ToArray();
        Assert.Equal(("info", "node-1", null, null, "run folder made"), (lines[0].Level, lines[0].Node, lines[0].Batch, lines[0].Role, lines[0].Message));
        var late = Assert.Single(lines, line => line.Message.Contains("dropped late", StringComparison.Ordinal));
        Assert.Equal(("warning", "12.3", "rollout"), (late.Level, late.Batch, late.Role));
        Assert.Contains("12.3: dropped late", File.ReadAllText(_folder.Log), StringComparison.Ordinal);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    // Actors are named as those of a run: the run, an attempt, a role.
    private sealed class Above : ReceiveActor
    {
        public Above() => Receive<string>(message =>
        {
            if (Self.Path.Name.StartsWith("run-", StringComparison.Ordinal))
                Context.ActorOf(Props.Create(() => new Above()), "iteration-1").Forward(message);
            else if (Self.Path.Name == "iteration-1")
                Context.ActorOf(Props.Create(() => new Above()), "rollout").Forward(message);
            else
            {
                Context.GetLogger().Warning("{0}: dropped late {1}.", new BatchId(12, 3), "RolloutDone");
                Context.System.Terminate();
            }
        });
    }
}
