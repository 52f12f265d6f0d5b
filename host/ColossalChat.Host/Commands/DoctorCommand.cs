using System.Globalization;
using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Commands;

/// <summary>Options of <c>doctor</c> and <c>env</c>.</summary>
internal sealed record JsonOptions
{
    [CliHelp("One JSON document.")]
    public bool Json { get; init; }
}

/// <summary>One thing that was looked at.</summary>
/// <param name="Name">What.</param>
/// <param name="IsGood">Whether training and chat can work with it.</param>
/// <param name="Detail">What was found, and the next step when it is not good.</param>
internal sealed record Finding(string Name, bool IsGood, string Detail);

/// <summary>Looks for what keeps the program from working.</summary>
internal sealed class DoctorCommand(HostServices host) : CliCommand<JsonOptions>
{
    private const long SmallestMemory = 4L << 30;
    private const long SmallestDisk = 2L << 30;

    public override string Path => "doctor";

    public override string Summary => "Check that plugins load, the native library works, and cores, memory and disk suffice.";

    protected override async Task<ExitCode> RunAsync(JsonOptions options, CliContext context, CancellationToken cancel)
    {
        Finding[] findings = [.. Plugins(), NativeLibrary(), Cores(), Memory(), Disk()];
        if (options.Json)
            await context.Out.WriteLineAsync(JsonSerializer.Serialize(findings, JsonLines.Format)).ConfigureAwait(false);
        else
            foreach (var finding in findings)
                await context.Out.WriteLineAsync($"{(finding.IsGood ? "ok " : "BAD")} {finding.Name}: {finding.Detail}").ConfigureAwait(false);
        return findings.All(finding => finding.IsGood) ? ExitCode.Ok : ExitCode.Failed;
    }

    private IEnumerable<Finding> Plugins()
    {
        var catalog = host.Catalog;
        yield return new Finding(
            "plugins",
            catalog.Plugins.Count > 0,
            catalog.Plugins.Count > 0
                ? $"{catalog.Plugins.Count} loaded with {catalog.Factories.Count} factories from {string.Join(", ", catalog.Folders)}"
                : $"none found in {HostServices.ShippedPlugins}; build the host project, which puts its plugins there");
        foreach (var refusal in catalog.Refusals)
            yield return new Finding("plugin refused", false, $"{refusal.Folder}: {refusal.Reason}: {refusal.Message}");
    }

    private static Finding NativeLibrary()
    {
        try
        {
            // The cheapest call that needs the native library.
            var threads = TorchSharp.torch.get_num_threads();
            var cuda = TorchSharp.torch.cuda.is_available() ? $"{TorchSharp.torch.cuda.device_count()} CUDA devices" : "no CUDA device";
            return new Finding("libtorch", true, string.Create(CultureInfo.InvariantCulture, $"loads, {threads} threads, {cuda}"));
        }
        catch (Exception failure)
        {
            return new Finding("libtorch", false, $"does not load: {(failure.InnerException ?? failure).Message} Build the host again; its build mends the native library for older systems.");
        }
    }

    private static Finding Cores() => new("cores", Environment.ProcessorCount >= 2, $"{Environment.ProcessorCount}; 2 or more are needed, so that the program answers while a model computes");

    private static Finding Memory()
    {
        var bytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return new Finding("memory", bytes >= SmallestMemory, $"{Gigabytes(bytes)} for this process; {Gigabytes(SmallestMemory)} or more for the quickstart");
    }

    private static Finding Disk()
    {
        var here = Directory.GetCurrentDirectory();
        var free = new DriveInfo(here).AvailableFreeSpace;
        return new Finding("disk", free >= SmallestDisk, $"{Gigabytes(free)} free at {here}; {Gigabytes(SmallestDisk)} or more for run folders");
    }

    private static string Gigabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.0} GiB");
}

/// <summary>Prints everything a bug report needs.</summary>
internal sealed class EnvCommand(HostServices host) : CliCommand<JsonOptions>
{
    public override string Path => "env";

    public override string Summary => "Print versions, processor, memory and plugins, ready to paste into a bug report.";

    protected override async Task<ExitCode> RunAsync(JsonOptions options, CliContext context, CancellationToken cancel)
    {
        var report = EnvironmentReport.Of(host.Catalog);
        if (options.Json)
        {
            await context.Out.WriteLineAsync(JsonSerializer.Serialize(report, JsonLines.Format)).ConfigureAwait(false);
            return ExitCode.Ok;
        }

        await context.Out.WriteLineAsync($"colossalchat {report.Version}, {report.Dotnet}, TorchSharp {report.TorchSharp}, Akka.NET {report.Akka}").ConfigureAwait(false);
        await context.Out.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"{report.System} {report.Architecture}, {report.Cores} cores ({string.Join(' ', report.Simd)}), {report.MemoryBytes / (double)(1L << 30):0.0} GiB")).ConfigureAwait(false);
        await context.Out.WriteLineAsync($"program {report.Program}").ConfigureAwait(false);
        foreach (var plugin in report.Plugins)
            await context.Out.WriteLineAsync($"plugin {plugin.Name} {plugin.Version} sha256 {plugin.Sha256[..12]}").ConfigureAwait(false);
        return ExitCode.Ok;
    }
}
