using System.Globalization;
using System.IO.Hashing;
using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Finds and checks the checkpoints of a run.</summary>
public static class Checkpoints
{
    private const string Prefix = "step-";
    private const string GivenUpName = "given-up";

    /// <summary>Clears away what a killed writer left. Only for whoever holds the run: a living writer would lose its work.</summary>
    /// <param name="runFolder">Folder of the run.</param>
    /// <param name="remark">Told what could not be removed, which is in nobody's way.</param>
    public static void Recover(string runFolder, Action<string>? remark = null) => CheckpointWriter.Recover(FolderOf(runFolder), remark ?? (_ => { }), long.MaxValue);

    /// <summary>The newest whole checkpoint of a run, read. Changes nothing.</summary>
    public static CheckpointChoice Latest(string runFolder) => Newest(runFolder, Open);

    /// <summary>The same without the trainers' states, which nodes read where they need them.</summary>
    public static CheckpointChoice LatestForCoordinator(string runFolder) => Newest(runFolder, SpreadOptions.Read);

    private static CheckpointChoice Newest(string runFolder, Func<string, Checkpoint> open)
    {
        var skipped = new List<string>();

        // By epoch first: a later attempt may have begun at an older place. A torn manifest sorts first, to be tried and reported.
        foreach (var folder in FoldersOf(runFolder).OrderByDescending(folder => EpochOf(folder) ?? long.MaxValue))
        {
            try
            {
                return new CheckpointChoice(open(folder), skipped);
            }
            catch (UserErrorException error)
            {
                skipped.Add(error.Message);
            }
        }

        return new CheckpointChoice(null, skipped);
    }

    /// <summary>A run's checkpoints, the newest first, as their manifests tell them. Those without a readable one are left out.</summary>
    public static IReadOnlyList<CheckpointSummary> List(string runFolder)
    {
        CheckpointSummary[] all = [.. FoldersOf(runFolder).Select(SummaryOf).OfType<CheckpointSummary>()];
        var best = all.Select(checkpoint => checkpoint.Score).OfType<CheckpointScore>().FirstOrDefault()?.Rule.BestOf(all);
        return [.. all.Select(checkpoint => checkpoint with { IsBest = checkpoint == best })];
    }

    /// <summary>True when a run has a checkpoint that was written to its end; reads none, so it may still be corrupted.</summary>
    public static bool Any(string runFolder) =>
        FoldersOf(runFolder).Any(folder => File.Exists(Path.Combine(folder, CheckpointManifest.FileName)));

    /// <summary>Reads one checkpoint into memory, each file once, and checks all of it on the way.</summary>
    /// <exception cref="UserErrorException">It is missing, torn or corrupted; the message says which file and why.</exception>
    public static Checkpoint Open(string folder) => Open(folder, _ => true);

    /// <summary>Reads of one checkpoint the states of some roles.</summary>
    /// <param name="folder">The checkpoint's.</param>
    /// <param name="isWanted">Tells by its slot whether a role's state is read.</param>
    /// <exception cref="UserErrorException">As above.</exception>
    internal static Checkpoint Open(string folder, Func<string, bool> isWanted)
    {
        try
        {
            var manifest = ReadManifest(folder);
            var files = manifest.Files.ToDictionary(file => file.Path, StringComparer.Ordinal);
            var images = files.Keys
                .Where(path => path.EndsWith("/" + StateIndex.FileName, StringComparison.Ordinal))
                .Select(path => path[..^(StateIndex.FileName.Length + 1)])
                .Where(isWanted)
                .ToDictionary(role => role, role => ReadRole(folder, role, files));
            return new Checkpoint(
                folder,
                new RunState(manifest.Iteration, manifest.Epoch, manifest.Totals, images) { OwesMeasurement = manifest.OwesMeasurement, Score = manifest.Score, Folder = folder });
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw Unusable(folder, error.Message, inner: error);
        }
    }

    /// <summary>
    /// True when a folder holds a checkpoint of a branch that its run gave up: somebody resumed the run from an older place.
    /// </summary>
    public static bool IsGivenUp(string folder) => Path.GetFileName(Path.GetDirectoryName(Path.GetFullPath(folder))) == GivenUpName;

    /// <summary>
    /// Moves aside what is not on the way to the checkpoint that a run continues from, so that the run's checkpoints are
    /// always one line and <c>latest</c> has one meaning. Only for whoever holds the run.
    /// </summary>
    /// <returns>How many were moved.</returns>
    internal static int GiveUpOthers(string runFolder, Checkpoint chosen)
    {
        var others = FoldersOf(runFolder)
            .Where(folder => IterationOf(folder) > chosen.Iteration || EpochOf(folder) > chosen.Epoch)
            .ToArray();
        foreach (var folder in others)
        {
            var aside = Path.Combine(FolderOf(runFolder), GivenUpName, Path.GetFileName(folder));
            if (Directory.Exists(aside))
                Directory.Delete(aside, recursive: true);
            Directory.CreateDirectory(Path.GetDirectoryName(aside)!);
            Directory.Move(folder, aside);
        }

        return others.Length;
    }

    /// <summary>The highest attempt that any checkpoint of a run was written in; 0 when there is none.</summary>
    internal static long HighestEpoch(string runFolder) =>
        FoldersOf(runFolder).Concat(GivenUp(runFolder)).Select(folder => EpochOf(folder) ?? 0).DefaultIfEmpty(0).Max();

    internal static IReadOnlyList<string> GivenUp(string runFolder) => FoldersIn(Path.Combine(FolderOf(runFolder), GivenUpName));

    internal static IReadOnlyList<string> FoldersOf(string runFolder) => FoldersIn(FolderOf(runFolder));

    internal static string FolderOf(string runFolder) => Path.Combine(runFolder, "checkpoints");

    internal static string NameOf(long iteration) => Prefix + iteration.ToString("D8", CultureInfo.InvariantCulture);

    internal static long IterationOf(string folder) =>
        long.TryParse(Path.GetFileName(folder).AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var iteration)
            ? iteration
            : -1;

    // Newest first; names that are not ours are none of our business.
    private static string[] FoldersIn(string parent) => !Directory.Exists(parent)
        ? []
        : [.. Directory.GetDirectories(parent, Prefix + "*")
            .Where(folder => IterationOf(folder) >= 0)
            .OrderByDescending(IterationOf)];

    internal static CheckpointSummary? SummaryOf(string folder) =>
        TryReadManifest(folder) is { } manifest ? new CheckpointSummary(folder, IterationOf(folder), manifest.Score) : null;

    private static long? EpochOf(string folder) => TryReadManifest(folder)?.Epoch;

    private static CheckpointManifest? TryReadManifest(string folder)
    {
        try
        {
            return ReadManifest(folder);
        }
        catch (Exception error) when (error is UserErrorException or IOException or UnauthorizedAccessException)
        {
            return null;
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
        if (manifest.Format is < CheckpointManifest.OldestFormat or > CheckpointManifest.CurrentFormat)
            throw Unusable(folder, $"it has format {manifest.Format}, this program reads {CheckpointManifest.OldestFormat} to {CheckpointManifest.CurrentFormat}");
        return manifest;
    }

    private static StateImage ReadRole(string folder, string role, Dictionary<string, ManifestFile> files)
    {
        var index = JsonSerializer.Deserialize<StateIndex>(ReadSmall(folder, FileOf(folder, $"{role}/{StateIndex.FileName}", files)), CheckpointJson.Options)
            ?? throw Unusable(folder, $"{role}/{StateIndex.FileName} is empty");
        var image = new StateImage(role, Path.GetDirectoryName(folder));
        var file = FileOf(folder, $"{role}/{StateIndex.DataFileName}", files);
        using var data = OpenSized(folder, file);
        var hash = new XxHash128();
        foreach (var entry in index.Tensors)
        {
            if (entry.Offset != data.Position)
                throw Unusable(folder, $"tensor '{entry.Name}' of {role} is at {data.Position} instead of {entry.Offset}");
            var bytes = GC.AllocateUninitializedArray<byte>(entry.Bytes);
            data.ReadExactly(bytes);
            hash.Append(bytes);
            image.WriteTensor(entry.Name, entry.Type, entry.Shape, bytes);
        }

        if (data.Position != data.Length || Convert.ToHexStringLower(hash.GetCurrentHash()) != file.Hash)
            throw Unusable(folder, $"{file.Path} does not have its hash");
        foreach (var (name, json) in index.Json)
            image.WriteJson(name, json);
        return image;
    }

    private static byte[] ReadSmall(string folder, ManifestFile file)
    {
        using var stream = OpenSized(folder, file);
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return HashOf(bytes) == file.Hash ? bytes : throw Unusable(folder, $"{file.Path} does not have its hash");
    }

    private static FileStream OpenSized(string folder, ManifestFile file)
    {
        var path = Path.Combine(folder, file.Path);
        if (!File.Exists(path))
            throw Unusable(folder, $"{file.Path} is missing");
        var stream = File.OpenRead(path);
        if (stream.Length == file.Bytes)
            return stream;
        using (stream)
            throw Unusable(folder, $"{file.Path} has {stream.Length} bytes instead of {file.Bytes}");
    }

    private static ManifestFile FileOf(string folder, string path, Dictionary<string, ManifestFile> files) =>
        files.TryGetValue(path, out var file) ? file : throw Unusable(folder, $"{CheckpointManifest.FileName} does not list {path}");

    internal static string HashOf(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(XxHash128.Hash(bytes));

    private static UserErrorException Unusable(
        string folder, string why, ExitCode exitCode = ExitCode.Invalid, Exception? inner = null) =>
        new($"Checkpoint {folder} cannot be used: {why}. Use an older one with --resume DIR.", exitCode, inner);
}
