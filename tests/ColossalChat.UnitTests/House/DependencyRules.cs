using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text.Json;
using Xunit;

namespace ColossalChat.UnitTests.House;

/// <summary>DESIGN section 2 as a test: reads the built assemblies and the restored packages, not the project files.</summary>
[Trait("Category", "CI")]
public sealed class DependencyRules
{
    private const string Contracts = "ColossalChat.Contracts";
    private const string ContractsTorch = "ColossalChat.Contracts.Torch";
    private const string Numerics = "ColossalChat.Numerics";

    private static readonly HashSet<string> s_framework = new[] { "Microsoft.NETCore.App", "Microsoft.AspNetCore.App" }
        .SelectMany(SharedFramework)
        .Select(file => Path.GetFileNameWithoutExtension(file))
        .ToHashSet(StringComparer.Ordinal);

    // What each project may refer to beyond the framework; a trailing dot-star allows a family.
    private static readonly Dictionary<string, string[]> s_allowed = new()
    {
        [Contracts] = [],
        [ContractsTorch] = [Contracts, "TorchSharp"],
        ["ColossalChat.Host"] =
        [
            Contracts, ContractsTorch, "ColossalChat.Cluster", "ColossalChat.Transfer", "ColossalChat.PluginHost", "Akka.*",
            "Microsoft.Extensions.*", "System.CommandLine", "Spectre.Console.*", "System.IO.Hashing", "OpenTelemetry.*", "TorchSharp",
        ],
        // Hashing beyond DESIGN's table: checkpoints are checked by hash. No tensor comes in by it.
        ["ColossalChat.Cluster"] = [Contracts, "ColossalChat.Journal", "Akka.*", "System.IO.Hashing"],
        // Beyond DESIGN's table: files and SQLite stay away from the actors. It knows records and bytes, not what is in them.
        ["ColossalChat.Journal"] = ["Microsoft.Data.Sqlite", "System.IO.Hashing"],
        ["ColossalChat.Transfer"] = [Contracts, "System.IO.Hashing"],
        ["ColossalChat.PluginHost"] = [Contracts, ContractsTorch, "TorchSharp", "McMaster.NETCore.Plugins"],
        // Contracts beyond DESIGN's table: what these functions take apart and put together (experience, micro-batches) is
        // defined there. They stay pure: no role, setting or file is touched, and no other project comes in.
        [Numerics] = [Contracts, ContractsTorch, "TorchSharp"],
        ["ColossalChat.Text"] = [Contracts, "Microsoft.ML.Tokenizers"],
        ["ColossalChat.Charts"] = [Contracts, "ScottPlot", "SkiaSharp", "HarfBuzzSharp", "SkiaSharp.HarfBuzz"],
        ["ColossalChat.Quickstart"] = [Contracts],
        ["ColossalChat.Chat"] = [Contracts],
        ["ColossalChat.PluginKit"] = [Contracts, ContractsTorch, "TorchSharp", "xunit.*"],
    };

    // A plugin that needs a package gets a line of its own above.
    private static readonly string[] s_tensorPlugin = [Contracts, ContractsTorch, Numerics, "TorchSharp"];

    [Theory]
    [InlineData("contracts")]
    [InlineData("host")]
    [InlineData("plugins")]
    public void Assemblies_refer_only_to_what_the_table_allows(string group)
    {
        var projects = Repository.ProjectsWithSource(group);
        Assert.NotEmpty(projects);
        foreach (var project in projects)
        {
            var allowed = s_allowed.GetValueOrDefault(project, s_tensorPlugin);
            var odd = References(Path.Combine(Repository.Output(group, project), project + ".dll"))
                .Where(name => !s_framework.Contains(name) && !allowed.Any(pattern => Fits(name, pattern)))
                .ToArray();
            Assert.True(odd.Length == 0, $"{project} refers to {string.Join(", ", odd)}; it may refer to {string.Join(", ", allowed)}.");
        }
    }

    [Fact]
    public void Kit_refers_only_to_what_the_table_allows()
    {
        var odd = References(Path.Combine(AppContext.BaseDirectory, "ColossalChat.PluginKit.dll"))
            .Where(name => !s_framework.Contains(name) && !s_allowed["ColossalChat.PluginKit"].Any(pattern => Fits(name, pattern)));
        Assert.Empty(odd);
    }

    [Theory]
    [InlineData("contracts", Contracts, "*")]
    [InlineData("host", "ColossalChat.Cluster", "TorchSharp")]
    [InlineData("host", "ColossalChat.Cluster", "libtorch*")]
    [InlineData("host", "ColossalChat.Transfer", "TorchSharp")]
    [InlineData("host", "ColossalChat.Journal", "TorchSharp")]
    [InlineData("host", "ColossalChat.Journal", "Akka*")]
    [InlineData("host", "ColossalChat.Transfer", "Akka*")]
    [InlineData("host", "ColossalChat.PluginHost", "Akka*")]
    [InlineData("host", "ColossalChat.PluginHost", "libtorch*")]
    [InlineData("contracts", ContractsTorch, "Akka*")]
    [InlineData("contracts", ContractsTorch, "libtorch*")]
    [InlineData("plugins", "ColossalChat.Text", "TorchSharp")]
    public void Package_is_not_restored_for_a_project(string group, string project, string pattern) =>
        AssertNoPackage(group, project, pattern);

    [Fact]
    public void Plugins_restore_neither_akka_nor_libtorch()
    {
        foreach (var project in Repository.ProjectsWithSource("plugins"))
        {
            AssertNoPackage("plugins", project, "Akka*");
            AssertNoPackage("plugins", project, "libtorch*");
        }
    }

    [Fact]
    public void Plugin_folders_of_the_host_hold_nothing_that_the_host_brings()
    {
        var plugins = Path.Combine(Repository.HostFolder, "plugins");
        Assert.True(Directory.Exists(plugins), $"{plugins} is missing; building the host makes it.");
        var doubled = Directory.EnumerateFiles(plugins, "*.dll", SearchOption.AllDirectories)
            .Where(file => Path.GetFileName(file) is var name && (name.StartsWith("ColossalChat.Contracts", StringComparison.Ordinal)
                || name.StartsWith("Akka", StringComparison.Ordinal) || name == "TorchSharp.dll" || name.StartsWith("libtorch", StringComparison.Ordinal)))
            .Select(Repository.Relative);
        Assert.Empty(doubled);
    }

    private static void AssertNoPackage(string group, string project, string pattern)
    {
        var found = Packages(Path.Combine(Repository.Root, group, project, "obj", "project.assets.json"))
            .Where(package => pattern == "*" || (pattern.EndsWith('*') ? package.StartsWith(pattern[..^1], StringComparison.OrdinalIgnoreCase) : package == pattern));
        Assert.True(!found.Any(), $"{project} restores {string.Join(", ", found)}.");
    }

    private static bool Fits(string name, string pattern) =>
        pattern.EndsWith(".*", StringComparison.Ordinal)
            ? name == pattern[..^2] || name.StartsWith(pattern[..^1], StringComparison.Ordinal)
            : name == pattern;

    private static string[] References(string assembly)
    {
        Assert.True(File.Exists(assembly), $"{assembly} is missing; build the solution first.");
        using var image = new PEReader(File.OpenRead(assembly));
        var metadata = image.GetMetadataReader();
        return [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
    }

    private static string[] Packages(string assets)
    {
        Assert.True(File.Exists(assets), $"{assets} is missing; restore the solution first.");
        using var json = JsonDocument.Parse(File.ReadAllText(assets));
        return [.. json.RootElement.GetProperty("libraries").EnumerateObject()
            .Where(library => library.Value.GetProperty("type").GetString() == "package")
            .Select(library => library.Name.Split('/')[0])];
    }

    private static IEnumerable<string> SharedFramework(string name)
    {
        var core = new DirectoryInfo(Path.GetDirectoryName(typeof(object).Assembly.Location)!);
        var folder = Path.Combine(core.Parent!.Parent!.FullName, name, core.Name);
        return Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.dll") : [];
    }
}
