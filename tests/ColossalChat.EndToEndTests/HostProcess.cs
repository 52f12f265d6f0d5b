using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace ColossalChat.EndToEndTests;

/// <summary>The built program, run as a user runs it.</summary>
public sealed class HostProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _out = new();
    private readonly StringBuilder _error = new();

    private HostProcess(Process process) => _process = process;

    /// <summary>Folder of the built program.</summary>
    public static string Home { get; } = Path.Combine(
        Repository.Root, "host", "ColossalChat.Host", "bin", Repository.Configuration, "net10.0");

    /// <summary>What it printed so far on standard error.</summary>
    public string Error
    {
        get
        {
            lock (_error)
                return _error.ToString();
        }
    }

    /// <summary>True once it has ended.</summary>
    public bool HasEnded => _process.HasExited;

    /// <summary>Runs to the end.</summary>
    public static HostResult Run(TimeSpan limit, params string[] arguments)
    {
        using var host = Start(arguments);
        return host.WaitForEnd(limit);
    }

    /// <summary>Runs to the end and fails the test with all it printed when it does not exit with 0.</summary>
    public static string Succeed(TimeSpan limit, params string[] arguments)
    {
        var result = Run(limit, arguments);
        Assert.True(result.ExitCode == 0, $"{string.Join(' ', arguments)} exited with {result.ExitCode}.\n{result.Output}\n{Tail(result.Error)}");
        return result.Output;
    }

    /// <summary>Starts it.</summary>
    public static HostProcess Start(params string[] arguments) => StartProgram("dotnet", [Path.Combine(Home, "ColossalChat.Host.dll"), .. arguments]);

    /// <summary>Runs a command line as somebody would who copies it into a shell.</summary>
    /// <param name="limit">Longest time.</param>
    /// <param name="command">It may begin with <c>colossalchat</c>.</param>
    public static HostResult Shell(TimeSpan limit, string command)
    {
        using var shell = StartProgram("bash", ["-c", $"colossalchat() {{ dotnet '{Home}/ColossalChat.Host.dll' \"$@\"; }}\n{command}"]);
        return shell.WaitForEnd(limit);
    }

    /// <summary>Starts it with one thread for each of its computations, as nodes that share one machine are.</summary>
    public static HostProcess StartOnOneThread(params string[] arguments) =>
        StartProgram("dotnet", [Path.Combine(Home, "ColossalChat.Host.dll"), .. arguments], start => start.Environment["OMP_NUM_THREADS"] = "1");

    private static HostProcess StartProgram(string program, IReadOnlyList<string> arguments, Action<ProcessStartInfo>? set = null)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, WorkingDirectory = Repository.Root };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment["COLOSSALCHAT_HOME"] = Home;
        set?.Invoke(start);
        var host = new HostProcess(Process.Start(start)!);
        host._process.StandardInput.Close();
        host._process.OutputDataReceived += (_, line) => Append(host._out, line.Data);
        host._process.ErrorDataReceived += (_, line) => Append(host._error, line.Data);
        host._process.BeginOutputReadLine();
        host._process.BeginErrorReadLine();
        return host;
    }

    /// <summary>Waits until it ends.</summary>
    public HostResult WaitForEnd(TimeSpan limit)
    {
        if (!_process.WaitForExit(limit))
        {
            Kill();
            Assert.Fail($"Still running after {limit}.\n{Tail(Error)}");
        }

        _process.WaitForExit();
        lock (_out)
            return new HostResult(_process.ExitCode, _out.ToString(), Error);
    }

    /// <summary>Sends a signal, such as <c>INT</c> for Ctrl+C.</summary>
    public void Signal(string name)
    {
        using var kill = Process.Start("kill", ["-" + name, _process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>Waits until a checkpoint is there.</summary>
    public void WaitForCheckpoint(string folder, TimeSpan limit)
    {
        var deadline = DateTime.UtcNow + limit;
        using var pause = new ManualResetEventSlim();
        while (!Directory.Exists(folder))
        {
            Assert.True(DateTime.UtcNow < deadline && !HasEnded, $"No {Path.GetFileName(folder)} appeared.\n{Error}");
            pause.Wait(TimeSpan.FromMilliseconds(10));
        }
    }

    /// <summary>Waits until the system has taken back what a killed process held.</summary>
    public void WaitUntilGone(TimeSpan limit) => Assert.True(_process.WaitForExit(limit), $"Still there {limit} after it was killed.");

    /// <summary>SIGKILL: no chance to save anything.</summary>
    public void Kill() => _process.Kill(entireProcessTree: true);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_process.HasExited)
            Kill();
        _process.Dispose();
    }

    private static string Tail(string text) => text.Length <= 6000 ? text : text[^6000..];

    private static void Append(StringBuilder text, string? line)
    {
        if (line is null)
            return;
        lock (text)
            text.AppendLine(line);
    }
}

/// <summary>How a run of the program ended.</summary>
public sealed record HostResult(int ExitCode, string Output, string Error);
