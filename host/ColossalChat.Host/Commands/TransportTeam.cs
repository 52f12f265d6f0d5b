using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Reflection;
using ColossalChat.Contracts;

namespace ColossalChat.Host.Commands;

/// <summary>The readers of the benchmark, each a process of this very program.</summary>
internal sealed class TransportTeam : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);
    private readonly List<Process> _processes = [];

    private TransportTeam()
    {
    }

    /// <summary>To each reader, for orders.</summary>
    public List<TransportLines> Lines { get; } = [];

    /// <summary>To each reader, for small messages.</summary>
    public List<Socket> Echoes { get; } = [];

    /// <summary>Starts the readers and waits until they have come.</summary>
    public static TransportTeam Start(int readers, string folder, CancellationToken cancel)
    {
        var team = new TransportTeam();
        try
        {
            using var listener = TransportLines.Listen();
            for (var number = 1; number <= readers; number++)
            {
                team._processes.Add(Process.Start(Program(
                    ["bench", "transport", "--child-of", Text(TransportLines.PortOf(listener)), "--child-number", Text(number), "--child-folder", folder]))!);
                // One after the other, so that it is known whose connections these are.
                var lines = new TransportLines(team.Accept(listener, cancel));
                team.Lines.Add(lines);
                lines.Receive<int>();
                team.Echoes.Add(team.Accept(listener, cancel));
            }

            return team;
        }
        catch
        {
            team.Dispose();
            throw;
        }
    }

    /// <summary>Readers end when their lines close.</summary>
    public void Dispose()
    {
        foreach (var lines in Lines)
            lines.Dispose();
        foreach (var echo in Echoes)
            echo.Dispose();
        foreach (var process in _processes)
        {
            if (!process.WaitForExit(s_patience))
                process.Kill();
            process.Dispose();
        }
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    // The program is its own executable, or dotnet with an assembly. What readers say goes where our own errors go.
    private static ProcessStartInfo Program(string[] arguments)
    {
        var program = Environment.ProcessPath ?? throw new UserErrorException("The path of this program is not known, so the benchmark cannot start it again.", ExitCode.Failed);
        var isDotnet = Path.GetFileNameWithoutExtension(program).Equals("dotnet", StringComparison.OrdinalIgnoreCase);
        string[] entry = isDotnet ? [Assembly.GetEntryAssembly()!.Location] : [];
        return new ProcessStartInfo(program, [.. entry, .. arguments]) { RedirectStandardInput = true };
    }

    private Socket Accept(Socket listener, CancellationToken cancel)
    {
        var start = Stopwatch.GetTimestamp();
        while (!listener.Poll(100_000, SelectMode.SelectRead))
        {
            cancel.ThrowIfCancellationRequested();
            if (_processes[^1].HasExited || Stopwatch.GetElapsedTime(start) > s_patience)
                throw new UserErrorException("A reader of the benchmark did not come; see what it said above.", ExitCode.Failed);
        }

        var socket = listener.Accept();
        socket.NoDelay = true;
        return socket;
    }
}
