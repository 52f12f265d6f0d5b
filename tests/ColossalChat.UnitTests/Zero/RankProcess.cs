using System.Diagnostics;
using System.Runtime.CompilerServices;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Zero;

/// <summary>
/// A rank in a process of its own: this very assembly, started with its task in the environment. It says "ready" after the
/// first operation, then goes on until it is killed or fails, and prints why.
/// </summary>
internal sealed class RankProcess : IDisposable
{
    private const string Task = "COLOSSALCHAT_TEST_RANK";
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);
    private readonly Process _process;

    private RankProcess(Process process) => _process = process;

    public static RankProcess Start(string collective, string directory, int rank, int ranks, long elements)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(RankProcess).Assembly.Location]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[Task] = $"{collective}|{directory}|{rank}|{ranks}|{elements}";
        return new RankProcess(Process.Start(start)!);
    }

    public string? ReadLine() => _process.StandardOutput.ReadLine();

    /// <summary>SIGKILL.</summary>
    public void Kill() => _process.Kill();

    /// <summary>All it says until its end.</summary>
    public async Task<string> End(TimeSpan limit)
    {
        var text = await _process.StandardOutput.ReadToEndAsync().WaitAsync(limit);
        await _process.WaitForExitAsync().WaitAsync(limit);
        return text;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.Dispose();
    }

    // The test platform gives this assembly an empty Main, before which this runs.
#pragma warning disable CA2255
    [ModuleInitializer]
#pragma warning restore CA2255
    internal static void RunWhenAsked()
    {
        if (Environment.GetEnvironmentVariable(Task) is not { } task)
            return;
        var words = task.Split('|');
        var (rank, ranks, elements) = (int.Parse(words[2], null), int.Parse(words[3], null), long.Parse(words[4], null));
        try
        {
            using var collective = CollectiveRanks.Join(words[0], new DirectoryPeerLinks(words[1]), new RankPlace("trainers", rank, ranks), s_deadline);
            using var buffer = CollectiveRanks.Elements(rank, elements, ScalarType.Float32);
            for (var round = 0; ; round++)
            {
                collective.AllReduce(buffer);
                if (round == 0)
                    Console.WriteLine("ready");
            }
        }
        catch (Exception error)
        {
            Console.WriteLine($"{error.GetType().Name}: {error.Message}");
        }

        Environment.Exit(0);
    }
}
