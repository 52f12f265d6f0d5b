using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class RunRecorderTests : IDisposable
{
    private readonly RunFolder _folder = new(Directory.CreateTempSubdirectory("colossalchat-recorder-").FullName);
    private readonly List<string> _shown = [];
    private readonly StringWriter _console = new();
    private readonly StepClock _time = new();

    public void Dispose() => Directory.Delete(_folder.Path, recursive: true);

    [Theory]
    [InlineData(null, "iteration 3/9 33% train/loss 1 eta 00:00:36", 36)]
    [InlineData(4L, "iteration 3/4 75% train/loss 1 eta 00:00:06", 6)]
    public void Share_and_time_to_go_are_of_the_iterations_that_were_asked_for(long? maxIterations, string line, double seconds)
    {
        using var log = Log();
        using (var recorder = Recorder(log, maxIterations))
        {
            recorder.Started(2, 9);
            foreach (var iteration in new[] { 2, 3 })
            {
                _time.Pass(TimeSpan.FromSeconds(6));
                recorder.Reported(new IterationReport(iteration, BatchPurpose.Train, new Dictionary<string, double> { ["train/loss"] = 1 }, []));
            }
        }

        Assert.Equal(line, _shown[^1]);
        Assert.Equal(seconds, LastMetric("run/eta_s"));
    }

    [Fact]
    public void The_share_of_the_cores_is_a_share()
    {
        using var log = Log();
        using (var recorder = Recorder(log))
        {
            recorder.Started(1, 2);
            _time.Pass(TimeSpan.FromSeconds(1));
            recorder.Reported(new IterationReport(1, BatchPurpose.Train, new Dictionary<string, double>(), []));
        }

        Assert.InRange(LastMetric("sys/cpu_util"), 0, 1);
    }

    [LinuxFact]
    public void A_full_disk_does_not_hide_why_a_run_failed()
    {
        File.CreateSymbolicLink(_folder.Events, "/dev/full");
        File.CreateSymbolicLink(_folder.Log, "/dev/full");
        using var log = Log();
        using (var recorder = Recorder(log))
            recorder.Failed("The policy forgot everything.", lastIteration: 3);

        Assert.Contains("error: The policy forgot everything. The run ended after iteration 3.", _console.ToString(), StringComparison.Ordinal);
        Assert.Contains("warning: the log cannot be written any more", _console.ToString(), StringComparison.Ordinal);
    }

    private double LastMetric(string name) =>
        JsonLines.Read(_folder.Metrics).Last().GetProperty("metrics").GetProperty(name).GetDouble();

    private NodeLog Log() => new(new HostConsole(_console, isTerminal: false), isVerbose: false, _folder.Log);

    private RunRecorder Recorder(NodeLog log, long? maxIterations = null) =>
        new(_folder, new RecorderSettings(log, new HostConsole(TextWriter.Null, isTerminal: false), _shown.Add, []) { Time = _time, MaxIterations = maxIterations });

    private sealed class StepClock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Pass(TimeSpan time) => _ticks += time.Ticks;
    }

    [AttributeUsage(AttributeTargets.Method)]
    private sealed class LinuxFactAttribute : FactAttribute
    {
        public LinuxFactAttribute() => Skip = OperatingSystem.IsLinux() ? null! : "needs /dev/full";
    }
}
