using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Transfer;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>A node in a process of its own: this very assembly, started with its task in the environment. Its lane lives until it is killed or told to end.</summary>
internal sealed class LaneProcess : IDisposable
{
    private const string Variable = "COLOSSALCHAT_TEST_LANE";
    private readonly Process _process;

    private LaneProcess(Process process) => _process = process;

    /// <summary>A node that publishes so many bytes and says where.</summary>
    public static LaneProcess Publisher(string folder, string machine, int bytes) => Start(new Order(folder, machine, bytes, null));

    /// <summary>A node that fetches a block and says how that went.</summary>
    public static LaneProcess Reader(string folder, string machine, BlobReference blob) => Start(new Order(folder, machine, 0, blob));

    /// <summary>What it says next.</summary>
    public async Task<T> SaysAsync<T>() =>
        JsonSerializer.Deserialize<T>(await _process.StandardOutput.ReadLineAsync().WaitAsync(LaneNodes.Limit) ?? throw new IOException("the process ended"))!;

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(LaneNodes.Limit);
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
        if (Environment.GetEnvironmentVariable(Variable) is not { } task)
            return;
        var order = JsonSerializer.Deserialize<Order>(task)!;
        try
        {
            using var lane = new NetworkBlobLane(new LaneSettings { ChainFrom = 0, MachineId = order.Machine, MemoryFolder = order.Folder, SpillFolder = order.Folder }, new LogLines());
            if (order.Blob is { } blob)
                Say(Convert.ToBase64String(LaneNodes.Fetch(lane, blob)[..10]));
            else
                Say(lane.Publish("weights", LaneNodes.Bytes(order.Bytes)));
            Console.In.ReadLine();
        }
        catch (IOException error)
        {
            Say(error.Message);
        }

        Environment.Exit(0);
    }

    private static void Say<T>(T what) => Console.WriteLine(JsonSerializer.Serialize(what));

    private static LaneProcess Start(Order order)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(LaneProcess).Assembly.Location]) { RedirectStandardOutput = true, RedirectStandardInput = true };
        start.Environment[Variable] = JsonSerializer.Serialize(order);
        return new LaneProcess(Process.Start(start)!);
    }

    private sealed record Order(string Folder, string Machine, int Bytes, BlobReference? Blob);
}
