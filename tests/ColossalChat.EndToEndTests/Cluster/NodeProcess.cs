using System.Diagnostics;
using System.Globalization;

namespace ColossalChat.EndToEndTests;

/// <summary>
/// One node of a cluster, started again from outside as the systemd unit of <c>host/deploy</c> does it: after a pause, unless
/// the exit code says that there is no point in it. It never outlives the process that runs the test.
/// </summary>
public sealed class NodeProcess : IDisposable
{
    /// <summary>Seconds from an end to the next start: RestartSec of the unit.</summary>
    public const int RestartSeconds = 1;

    // RestartPreventExitStatus of the unit.
    private static readonly int[] s_final = [0, 2, 3, 4];

    // The node's process is this shell's, by exec, so signals go to the node. Beside it a child holds the pipe from the test:
    // when that is closed, the test is over, whatever became of it, and the node ends. Start times tell a process from
    // a later one with its number.
    private const string Wrapper = """
        log=$1 pause=$2; shift 2
        born=$(cut -d' ' -f22 "/proc/$$/stat")
        ( trap '' TERM INT HUP; cat > /dev/null; [ "$(cut -d' ' -f22 "/proc/$$/stat" 2> /dev/null)" = "$born" ] && kill -KILL $$ ) <&0 > /dev/null 2>&1 &
        sleep "$pause"
        exec "$@" < /dev/null >> "$log" 2>&1
        """;

    private readonly IReadOnlyList<string> _command;
    private readonly Lock _lock = new();
    private Process _process;
    private bool _isOver;

    private NodeProcess(string name, string log, IReadOnlyList<string> command)
    {
        (Name, Log, _command) = (name, log, command);
        _process = Launch(pause: 0);
    }

    /// <summary>Name within the test, such as <c>t1</c>.</summary>
    public string Name { get; }

    /// <summary>File that gets what all its processes print.</summary>
    public string Log { get; }

    /// <summary>Number of the process that runs, or ran last.</summary>
    public int Id { get; private set; }

    /// <summary>How often it was started again.</summary>
    public int Restarts { get; private set; }

    /// <summary>The exit code after which it is not started again; null while it is.</summary>
    public int? ExitCode { get; private set; }

    /// <summary>Starts it.</summary>
    /// <param name="name">Name within the test.</param>
    /// <param name="log">File for what it prints.</param>
    /// <param name="command">Program and arguments.</param>
    public static NodeProcess Start(string name, string log, IReadOnlyList<string> command) => new(name, log, command);

    /// <summary>Sends a signal, such as <c>KILL</c>, <c>STOP</c> or <c>CONT</c>, to the process of this number, should it still be the node's.</summary>
    public void Signal(string signal, int id)
    {
        lock (_lock)
        {
            if (id != Id || _process.HasExited)
                return;
            using var kill = Process.Start("kill", ["-" + signal, id.ToString(CultureInfo.InvariantCulture)]);
            kill.WaitForExit();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Process last;
        lock (_lock)
        {
            _isOver = true;
            last = _process;
            if (!last.HasExited)
                last.Kill();
        }

        last.WaitForExit();
        last.Dispose();
    }

    private Process Launch(int pause)
    {
        var start = new ProcessStartInfo("bash") { RedirectStandardInput = true, WorkingDirectory = Repository.Root };
        foreach (var word in (IEnumerable<string>)["-c", Wrapper, Name, Log, pause.ToString(CultureInfo.InvariantCulture), .. _command])
            start.ArgumentList.Add(word);
        start.Environment["COLOSSALCHAT_HOME"] = HostProcess.Home;

        // Six processes share the cores of one machine: each with threads for all of them takes ten times as long to generate.
        start.Environment["OMP_NUM_THREADS"] = "1";
        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        process.Exited += (_, _) => Ended(process);
        process.Start();
        Id = process.Id;
        return process;
    }

    private void Ended(Process process)
    {
        lock (_lock)
        {
            if (_isOver)
                return;
            var code = process.ExitCode;
            File.AppendAllText(Log, $"== {Name} ({process.Id}) ended with {code} at {DateTime.UtcNow:HH:mm:ss.fff}\n");
            process.StandardInput.Dispose();
            if (s_final.Contains(code))
            {
                ExitCode = code;
                return;
            }

            Restarts++;
            process.Dispose();
            _process = Launch(RestartSeconds);
        }
    }
}
