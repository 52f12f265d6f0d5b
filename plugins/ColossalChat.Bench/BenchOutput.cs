using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>Prints a report, and says what was measured on.</summary>
internal static class BenchOutput
{
    /// <summary>One JSON document, or a line for each number.</summary>
    public static void Write(CliContext context, JsonObject report, bool json)
    {
        if (json)
        {
            context.Out.WriteLine(report.ToJsonString());
            return;
        }

        foreach (var (name, value) in report)
            context.Out.WriteLine($"{name.Replace('_', ' '),-24} {value?.ToJsonString() ?? "null"}");
    }

    /// <summary>The machine, for the report.</summary>
    public static JsonObject Machine() => new()
    {
        ["processors"] = Environment.ProcessorCount,
        ["torch_threads"] = get_num_threads(),
        ["framework"] = System.Runtime.InteropServices.RuntimeInformation.FrameworkDescription,
    };

    /// <summary>Most memory this process has held, bytes.</summary>
    public static long PeakMemory()
    {
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    /// <summary>The element type of a name.</summary>
    public static ScalarType? Precision(string name) => name switch
    {
        "float32" => ScalarType.Float32,
        "bfloat16" => ScalarType.BFloat16,
        "float16" => ScalarType.Float16,
        _ => null,
    };

    /// <summary>Refuses a command line with wrong values, all named at once.</summary>
    public static void Check(IEnumerable<string> problems)
    {
        var all = problems.ToArray();
        if (all.Length > 0)
            throw new UserErrorException(string.Join(' ', all), ExitCode.Usage);
    }

    /// <summary>Four digits are enough for a measurement. JSON has no word for what is not finite; null says so, and 0 would look perfect.</summary>
    public static double? Round(double value)
    {
        if (!double.IsFinite(value))
            return null;
        return value == 0 ? 0 : Math.Round(value, Math.Max(0, 4 - (int)Math.Ceiling(Math.Log10(Math.Abs(value)))));
    }
}
