using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using ColossalChat.Host.Cli;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Runs;

/// <summary>Everything about machine and program that a bug report needs; env.json of a run, and the verb <c>env</c>.</summary>
internal sealed record EnvironmentReport
{
    public required string Version { get; init; }

    public required string Dotnet { get; init; }

    public required string System { get; init; }

    public required string Architecture { get; init; }

    public required int Cores { get; init; }

    public required IReadOnlyList<string> Simd { get; init; }

    public required long MemoryBytes { get; init; }

    public required string Program { get; init; }

    public required string CommandLine { get; init; }

    public required string TorchSharp { get; init; }

    public required string Akka { get; init; }

    public required IReadOnlyList<PluginLine> Plugins { get; init; }

    /// <summary>This process's.</summary>
    public static EnvironmentReport Of(PluginCatalog catalog) => new()
    {
        Version = ProgramVersion,
        Dotnet = RuntimeInformation.FrameworkDescription,
        System = RuntimeInformation.OSDescription,
        Architecture = RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant(),
        Cores = Environment.ProcessorCount,
        Simd = Instructions().ToArray(),
        MemoryBytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        Program = AppContext.BaseDirectory,
        CommandLine = ShellWords.Join(Environment.GetCommandLineArgs().Skip(1)),
        TorchSharp = VersionOf("TorchSharp"),
        Akka = VersionOf("Akka"),
        Plugins = catalog.Plugins.Select(plugin => new PluginLine(plugin.Name, plugin.Version, plugin.Sha256, plugin.Folder)).ToArray(),
    };

    /// <summary>Version of this program.</summary>
    public static string ProgramVersion { get; } =
        typeof(EnvironmentReport).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";

    private static string VersionOf(string assembly)
    {
        try
        {
            return Assembly.Load(assembly).GetName().Version?.ToString(3) ?? "unknown";
        }
        catch (IOException)
        {
            return "absent";
        }
    }

    private static IEnumerable<string> Instructions()
    {
        (string Name, bool IsThere)[] known =
        [
            ("avx2", Avx2.IsSupported), ("fma", Fma.IsSupported), ("avx512f", Avx512F.IsSupported), ("avx512bw", Avx512BW.IsSupported),
            ("avx512vbmi", Avx512Vbmi.IsSupported), ("neon", AdvSimd.IsSupported),
        ];
        return known.Where(set => set.IsThere).Select(set => set.Name);
    }
}

/// <summary>A plugin as a report names it.</summary>
internal sealed record PluginLine(string Name, string Version, string Sha256, string Folder);
