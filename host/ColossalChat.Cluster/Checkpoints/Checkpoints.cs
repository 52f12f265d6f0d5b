using System.Globalization;
using System.IO.Hashing;
using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Finds and checks the checkpoints of a run.</summary>
public static class Checkpoints
{
    private const string Prefix = "step-";

    /// <summary>Clears away what a killed writer left. Only for whoever holds the run: a living writer would lose its work.</summary>
    public static void Recover(string runFolder) => CheckpointWriter.Recover(FolderOf(runFolder));

    /// <summary>The newest whole checkpoint of a run. Reads every file once, to check its hash, and changes nothing.</summary>
    public static CheckpointChoice Latest(string runFolder)
    {
        var skipped = new List<string>();

        // By epoch first: a run resumed from an older place leaves newer iterations of the branch it gave up.
        foreach (var folder in FoldersOf(runFolder).OrderByDescending(EpochOf))
        {
            try
            {
                return new CheckpointChoice(Open(folder), skipped);
            }
            catch (UserErrorException error)
            {
                skipped.Add(error.Message);
            }
        }

        return new CheckpointChoice(null, skipped);
    }

    /// <summary>True when a run has a checkpoint that was written to its end; reads none, so it may still be corrupted.</summary>
    public static bool Any(string runFolder) =>
        FoldersOf(runFolder).Any(folder => File.Exists(Path.Combine(folder, CheckpointManifest.FileName)));

    /// <summary>Opens one checkpoint and checks all of it.</summary>
    /// <exception cref="UserErrorException">It is missing, torn or corrupted; the message says which file and why.</exception>
    public static Checkpoint Open(string folder)
    {
        var manifest = ReadManifest(folder);
        foreach (var file in manifest.Files)
            Check(folder, file);
        var roles = manifest.Files
            .Where(file => file.Path.EndsWith("/" + StateIndex.FileName, StringComparison.Ordinal))
            .Select(file => file.Path[..^(StateIndex.FileName.Length + 1)])
            .ToArray();
        return new Checkpoint(folder, manifest.Iteration, manifest.Epoch, manifest.Totals, roles);
    }

    /// <summary>Reads a checked checkpoint into memory.</summary>
    /// <exception cref="UserErrorException">A tensor changed since the checkpoint was opened.</exception>
    public static RunState Load(Checkpoint checkpoint) => new(
        checkpoint.Iteration,
        checkpoint.Epoch,
        checkpoint.Totals,
        checkpoint.Roles.ToDictionary(role => role, role => LoadRole(checkpoint.Folder, role)));

    // Newest first; names that are not ours are none of our business.
    internal static IReadOnlyList<string> FoldersOf(string runFolder)
    {
        var parent = FolderOf(runFolder);
        return !Directory.Exists(parent)
            ? []
            : [.. Directory.GetDirectories(parent, Prefix + "*")
                .Where(folder => IterationOf(folder) >= 0)
                .OrderByDescending(IterationOf)];
    }

    internal static string FolderOf(string runFolder) => Path.Combine(runFolder, "checkpoints");

    internal static string NameOf(long iteration) => Prefix + iteration.ToString("D8", CultureInfo.InvariantCulture);

    internal static long IterationOf(string folder) =>
        long.TryParse(Path.GetFileName(folder).AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var iteration)
            ? iteration
            : -1;

    // A torn manifest sorts first, so that it is tried, and reported as skipped.
    private static long EpochOf(string folder)
    {
        try
        {
            return ReadManifest(folder).Epoch;
        }
        catch (UserErrorException)
        {
            return long.MaxValue;
        }
    }

    private static CheckpointManifest ReadManifest(string folder)
    {
        var path = Path.Combine(folder, CheckpointManifest.FileName);
        if (!File.Exists(path))
            throw Unusable(folder, $"it has no {CheckpointManifest.FileName}", ExitCode.NotFound);
        CheckpointManifest? manifest;
        try
        {
            manifest = JsonSerializer.Deserialize<CheckpointManifest>(File.ReadAllBytes(path), CheckpointJson.Options);
        }
        catch (JsonException error)
        {
            throw Unusable(folder, $"{CheckpointManifest.FileName} is torn ({error.Message})", inner: error);
        }

        if (manifest is null || manifest.Files is null)
            throw Unusable(folder, $"{CheckpointManifest.FileName} is empty");
        if (manifest.Format != CheckpointManifest.CurrentFormat)
            throw Unusable(folder, $"it has format {manifest.Format}, this program reads {CheckpointManifest.CurrentFormat}");
        return manifest;
    }

    private static void Check(string folder, ManifestFile file)
    {
        var path = Path.Combine(folder, file.Path);
        if (!File.Exists(path))
            throw Unusable(folder, $"{file.Path} is missing");
        using var stream = File.OpenRead(path);
        if (stream.Length != file.Bytes)
            throw Unusable(folder, $"{file.Path} has {stream.Length} bytes instead of {file.Bytes}");
        var hash = new XxHash128();
        hash.Append(stream);
        if (Convert.ToHexStringLower(hash.GetCurrentHash()) != file.Hash)
            throw Unusable(folder, $"{file.Path} does not have its hash");
    }

    private static StateImage LoadRole(string folder, string role)
    {
        var index = JsonSerializer.Deserialize<StateIndex>(
            File.ReadAllBytes(Path.Combine(folder, role, StateIndex.FileName)), CheckpointJson.Options)
            ?? throw Unusable(folder, $"{role}/{StateIndex.FileName} is empty");
        var image = new StateImage(role);
        using var data = File.OpenRead(Path.Combine(folder, role, StateIndex.DataFileName));
        foreach (var entry in index.Tensors)
        {
            var bytes = GC.AllocateUninitializedArray<byte>(entry.Bytes);
            data.Position = entry.Offset;
            data.ReadExactly(bytes);
            if (HashOf(bytes) != entry.Hash)
                throw Unusable(folder, $"tensor '{entry.Name}' of {role} does not have its hash");
            image.WriteTensor(entry.Name, entry.Type, entry.Shape, bytes);
        }

        foreach (var (name, json) in index.Json)
            image.WriteJson(name, json);
        return image;
    }

    internal static string HashOf(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(XxHash128.Hash(bytes));

    private static UserErrorException Unusable(
        string folder, string why, ExitCode exitCode = ExitCode.Invalid, Exception? inner = null) =>
        new($"Checkpoint {folder} cannot be used: {why}. Use an older one with --resume DIR.", exitCode, inner);
}
