using System.Globalization;
using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Nodes;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Commands;

/// <summary>Options of <c>doctor</c>.</summary>
internal sealed record DoctorOptions
{
    [CliArgument(0)]
    [CliHelp("Configuration of a run, to look at this machine and the run's nodes with its eyes.")]
    public string File { get; init; } = "";

    [CliArgument(1)]
    [CliHelp("Settings key=value over the file.")]
    public IReadOnlyList<string> Settings { get; init; } = [];

    [CliHelp("One JSON document.")]
    public bool Json { get; init; }
}

/// <summary>Options of <c>env</c>.</summary>
internal sealed record JsonOptions
{
    [CliHelp("One JSON document.")]
    public bool Json { get; init; }
}

/// <summary>One thing that was looked at.</summary>
/// <param name="Name">What.</param>
/// <param name="IsGood">Whether training and chat can work with it.</param>
/// <param name="Detail">What was found, and the next step when it is not good.</param>
/// <param name="IsWarning">It works, and somebody should look at it.</param>
internal sealed record Finding(string Name, bool IsGood, string Detail, bool IsWarning = false);

/// <summary>Looks for what keeps the program from working.</summary>
internal sealed class DoctorCommand(HostServices host) : CliCommand<DoctorOptions>
{
    private const long SmallestMemory = 4L << 30;
    private const long SmallestDisk = 2L << 30;

    public override string Path => "doctor";

    public override string Summary => "Check that plugins load, the native library works, and cores, memory and disk suffice; with a file, the nodes of its run too.";

    protected override async Task<ExitCode> RunAsync(DoctorOptions options, CliContext context, CancellationToken cancel)
    {
        Finding[] findings = [.. Plugins(), NativeLibrary(), Cores(), Memory(), Disk(), .. await OfRunAsync(options, cancel).ConfigureAwait(false)];
        if (options.Json)
            await context.Out.WriteLineAsync(JsonSerializer.Serialize(findings, JsonLines.Format)).ConfigureAwait(false);
        else
            foreach (var finding in findings)
                await context.Out.WriteLineAsync($"{(finding.IsWarning ? "WARN" : finding.IsGood ? "ok  " : "BAD ")} {finding.Name}: {finding.Detail}").ConfigureAwait(false);
        return findings.All(finding => finding.IsGood) ? ExitCode.Ok : ExitCode.Failed;
    }

    private async Task<IReadOnlyList<Finding>> OfRunAsync(DoctorOptions options, CancellationToken cancel)
    {
        if (options.File.Length == 0)
            return [];
        var config = ConfigLoader.LoadFile(options.File, options.Settings);
        using var plugins = host.CatalogFor(RunBinder.PluginsOf(config));
        var (bound, problems) = RunBinder.TryBind(config, plugins.Catalog);
        var findings = problems.Select(problem => new Finding("configuration", false, problem.ToString())).ToList();
        if (bound is null)
            return findings;
        if (problems.Count == 0)
            findings.Add(new Finding("configuration", true, $"{options.File}: stage {bound.Settings.Stage.Name}"));
        if (bound.Settings.Run.Name.Length == 0)
            findings.Add(new Finding("run folder", true, "run.name is empty, which nodes need to write into one folder; nothing of a cluster was looked at", IsWarning: true));
        else
            findings.AddRange(await new ClusterDoctor(bound, DateTimeOffset.UtcNow).LookAsync(cancel).ConfigureAwait(false));
        return findings;
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
