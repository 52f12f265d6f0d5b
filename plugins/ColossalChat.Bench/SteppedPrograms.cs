using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using ColossalChat.Contracts;

namespace ColossalChat.Bench;

/// <summary>Something that trains one step whenever it is told to, here or in another process.</summary>
internal interface ISteppedProgram : IDisposable
{
    /// <summary>Begins a step; <see cref="End"/> waits for it. Ranks of a team must all begin before any of them can end.</summary>
    void Begin();

    /// <summary>What the step took.</summary>
    StepReport End();
}

/// <summary>One step. As a line between processes it carries a loss that is not a number, which JSON by itself has no word for.</summary>
/// <param name="Total">Seconds.</param>
/// <param name="Loss">Nats for each token.</param>
[JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
internal sealed record StepReport(double Total, double Loss)
{
    /// <summary>Seconds forward; 0 where it was not measured, as in the two below.</summary>
    public double Forward { get; init; }

    /// <summary>Seconds backward.</summary>
    public double Backward { get; init; }

    /// <summary>Seconds in the optimiser.</summary>
    public double Optimizer { get; init; }

    /// <summary>Seconds of communication in this step, hidden or not.</summary>
    public double Communication { get; init; }

    /// <summary>Seconds of it that computation waited for.</summary>
    public double Exposed { get; init; }

    /// <summary>What the engine accounts for after the step, bytes.</summary>
    public StepMemory Memory { get; init; } = new(0, 0, 0, 0, 0);

    /// <summary>Most that the process has held so far, bytes.</summary>
    public long PeakBytes { get; init; }

    /// <summary>What the process held before there was a model, bytes.</summary>
    public long BytesBefore { get; init; }
}

/// <summary>Bytes of one rank, as in <see cref="Contracts.Torch.ShardMemory"/>.</summary>
internal sealed record StepMemory(long Weights, long Gathered, long Gradients, long States, long OnDisk)
{
    /// <summary>All of it.</summary>
    public long Total => Weights + Gathered + Gradients + States + OnDisk;
}

/// <summary>Gives steps to whoever asks for them by line: <c>step</c> on its input, a JSON line on its output, until the input ends.</summary>
internal static class StepServer
{
    /// <summary>The question.</summary>
    public const string Question = "step";

    /// <summary>Serves until the input ends.</summary>
    public static void Serve(Func<StepReport> step, TextReader input, TextWriter output, CancellationToken cancel)
    {
        while (input.ReadLine() is { } line)
        {
            cancel.ThrowIfCancellationRequested();
            if (line != Question)
                throw new UserErrorException($"The benchmark's process was asked for '{line}'; it knows '{Question}' only.", ExitCode.Usage);
            output.WriteLine(JsonSerializer.Serialize(step()));
            output.Flush();
        }
    }
}

/// <summary>A child process of this program that serves steps.</summary>
internal sealed class StepProcess : ISteppedProgram
{
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(10);
    private readonly Process _process;
    private readonly string _name;

    /// <summary>Starts it.</summary>
    /// <param name="name">For messages.</param>
    /// <param name="arguments">Its command line.</param>
    /// <param name="isPlain">True when it must run as any TorchSharp program would, without what the host tunes for itself.</param>
    public StepProcess(string name, IEnumerable<string> arguments, bool isPlain)
    {
        _name = name;
        var start = ThisProgram.With(arguments);
        if (isPlain)
            start.Environment["COLOSSALCHAT_PLAIN_PROCESS"] = "1";
        _process = Process.Start(start)!;
    }

    /// <inheritdoc/>
    public void Begin()
    {
        try
        {
            _process.StandardInput.WriteLine(StepServer.Question);
            _process.StandardInput.Flush();
        }
        catch (IOException)
        {
            throw Ended();
        }
    }

    /// <inheritdoc/>
    public StepReport End() =>
        _process.StandardOutput.ReadLine() is { } line ? JsonSerializer.Deserialize<StepReport>(line)! : throw Ended();

    /// <inheritdoc/>
    public void Dispose()
    {
        // It ends with its input; one that died has closed the pipe already.
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            _process.Kill(entireProcessTree: true);
        }

        if (!_process.WaitForExit(s_grace))
            _process.Kill(entireProcessTree: true);
        _process.Dispose();
    }

    private UserErrorException Ended()
    {
        _process.WaitForExit(s_grace);
        return new UserErrorException($"The benchmark's process '{_name}' ended with exit code {(_process.HasExited ? _process.ExitCode : -1)}; what it said is above.", ExitCode.Failed);
    }
}
