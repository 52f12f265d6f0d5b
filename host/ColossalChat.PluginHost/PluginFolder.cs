using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.PluginHost;

/// <summary>
/// Looks at a plugin's files before any of its code can run: everything here reads metadata and bytes only.
/// </summary>
/// <param name="folder">Full path of the plugin's folder.</param>
internal sealed class PluginFolder(string folder)
{
    private static readonly Dictionary<string, Version> s_hostContracts = new[] { typeof(IPlugin), typeof(ICausalModel) }
        .Select(type => type.Assembly.GetName())
        .ToDictionary(name => name.Name!, name => name.Version!);

    public string Folder { get; } = folder;

    /// <summary>The folder that this one is a private copy of; itself when it is none.</summary>
    public string Source { get; init; } = folder;

    public string Name => Path.GetFileName(Folder);

    public string AssemblyPath => Path.Combine(Folder, Name + ".dll");

    /// <summary>Plugin folders below the given folders; a given folder that is a plugin itself stands for itself.</summary>
    public static IEnumerable<PluginFolder> In(string folder)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        var itself = new PluginFolder(full);
        if (File.Exists(itself.AssemblyPath))
            return [itself];
        return Directory.EnumerateDirectories(full)
            .Where(sub => !Path.GetFileName(sub).StartsWith('.'))
            .Order(StringComparer.Ordinal)
            .Select(sub => new PluginFolder(sub));
    }

    /// <summary>Refuses what can be seen from outside and returns the main dll's hash.</summary>
    /// <param name="pin">SHA-256 that the dll must have, or null.</param>
    public string Inspect(string? pin)
    {
        RequireMainAssembly();
        RefuseHostAssemblies();
        var sha256 = FolderFingerprint.OfFile(AssemblyPath);
        if (pin is not null && !pin.Equals(sha256, StringComparison.OrdinalIgnoreCase))
            throw new PluginRefusedException(
                RefusalReason.PinMismatch,
                $"{Name}.dll has SHA-256 {sha256}, the configuration pins {pin}. Restore the pinned file, or change plugins.pins if you trust this one.");
        foreach (var dll in Directory.EnumerateFiles(Folder, "*.dll", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
            CheckContracts(dll);
        return sha256;
    }

    private void RequireMainAssembly()
    {
        if (!File.Exists(AssemblyPath))
        {
            var others = Directory.EnumerateFiles(Folder, "*.dll").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal).ToArray();
            var holds = others.Length == 0 ? "it holds no dll" : $"it holds {string.Join(", ", others)}";
            throw new PluginRefusedException(
                RefusalReason.Misnamed,
                $"a plugin folder is named like its assembly, but there is no {Name}.dll here ({holds}). Rename the folder, or remove it.");
        }

        using var file = File.OpenRead(AssemblyPath);
        using var image = new PEReader(file);
        if (!TryMetadata(image, out var metadata))
            throw new PluginRefusedException(RefusalReason.CannotLoad, $"{Name}.dll is not a .NET assembly. Build it again.");
        var assemblyName = metadata.GetString(metadata.GetAssemblyDefinition().Name);
        if (assemblyName != Name)
            throw new PluginRefusedException(
                RefusalReason.Misnamed,
                $"{Name}.dll was renamed: the assembly in it is {assemblyName}. Call file and folder {assemblyName}.");
    }

    private void RefuseHostAssemblies()
    {
        var brought = Directory.EnumerateFiles(Folder, "*.dll", SearchOption.AllDirectories)
            .Where(file => IsHostAssembly(Path.GetFileName(file)))
            .Order(StringComparer.Ordinal)
            .ToArray();
        if (brought.Length > 0)
            throw new PluginRefusedException(
                RefusalReason.ContractAssembly,
                $"delete {string.Join(" and ", brought)}: the host brings this assembly, a second copy would be a second, unequal set of types. " +
                "Mark the reference Private=\"false\" ExcludeAssets=\"runtime;native\" in the project.");
    }

    /// <summary>True for assemblies that only the host may bring.</summary>
    internal static bool IsHostAssembly(string fileName) =>
        fileName.StartsWith("ColossalChat.Contracts.", StringComparison.OrdinalIgnoreCase)
        || fileName.Equals("TorchSharp.dll", StringComparison.OrdinalIgnoreCase)
        || fileName.StartsWith("Akka.", StringComparison.OrdinalIgnoreCase);

    private static void CheckContracts(string dll)
    {
        using var file = File.OpenRead(dll);
        using var image = new PEReader(file);
        if (!TryMetadata(image, out var metadata))
            return;
        foreach (var handle in metadata.AssemblyReferences)
        {
            var reference = metadata.GetAssemblyReference(handle);
            var name = metadata.GetString(reference.Name);
            if (s_hostContracts.TryGetValue(name, out var host) && !Fits(reference.Version, host))
                throw new PluginRefusedException(
                    RefusalReason.ContractVersion,
                    $"{Path.GetFileName(dll)} was built against {name} {reference.Version.ToString(2)}; this host has {host.ToString(2)} and takes " +
                    $"{host.Major}.0 to {host.ToString(2)}. Rebuild it against this host's sdk folder, or use a newer host.");
        }
    }

    private static bool Fits(Version built, Version host) => built.Major == host.Major && built.Minor <= host.Minor;

    private static bool TryMetadata(PEReader image, out MetadataReader metadata)
    {
        metadata = null!;
        try
        {
            if (!image.HasMetadata)
                return false;
            metadata = image.GetMetadataReader();
            return metadata.IsAssembly;
        }
        catch (BadImageFormatException)
        {
            // Native libraries travel in plugin folders too; they are no assemblies.
            return false;
        }
    }
}
