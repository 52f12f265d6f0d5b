using System.Globalization;
using System.Text.Json;

namespace ColossalChat.Cluster;

/// <summary>
/// Writes a run's state so that a checkpoint under its final name is always whole: beside it first, every file flushed
/// to the disk, then renamed.
/// </summary>
internal static class CheckpointWriter
{
    private const string Unfinished = ".unfinished";
    private const string Replaced = ".replaced" + Unfinished;
    private const string TrainerSlot = "trainers.";

    /// <summary>Writes a checkpoint and removes the oldest beyond <paramref name="keep"/>, but for the best.</summary>
    /// <param name="runFolder">Folder of the run.</param>
    /// <param name="state">What to write.</param>
    /// <param name="keep">Newest checkpoints that stay.</param>
    /// <param name="best">By which one more stays; null for none.</param>
    /// <param name="remark">Told what could not be removed: the checkpoint is whole all the same.</param>
    /// <param name="fence">
    /// Throws when another process leads the run by now: asked once more when the content is written, which may take minutes,
    /// and before others' checkpoints are touched.
    /// </param>
    /// <returns>Its folder.</returns>
    public static string Write(string runFolder, RunState state, int keep, BestRule? best = null, Action<string>? remark = null, Action? fence = null)
    {
        remark ??= _ => { };
        fence ??= () => { };
        var parent = Checkpoints.FolderOf(runFolder);
        Directory.CreateDirectory(parent);
        Recover(parent, remark, state.Epoch);
        var name = Checkpoints.NameOf(state.Iteration);

        // Whoever was replaced may be at the same iteration still.
        var unfinished = Path.Combine(parent, $".{name}.{state.Epoch.ToString(CultureInfo.InvariantCulture)}{Unfinished}");
        Directory.CreateDirectory(unfinished);
        WriteContent(unfinished, state);
        fence();

        var (folder, replaced) = (Path.Combine(parent, name), Path.Combine(parent, $".{name}{Replaced}"));
        if (Directory.Exists(folder))
            // The same iteration again, after a rewind or a resume: a rename cannot replace a folder that has content.
            Directory.Move(folder, replaced);
        Directory.Move(unfinished, folder);
        if (Directory.Exists(replaced))
            Remove(replaced, remark);
        fence();
        foreach (var old in Old(runFolder, state.Iteration, keep, best))
            Remove(old, remark);
        return folder;
    }

    private static void WriteContent(string folder, RunState state)
    {
        ManifestFile[] files = [.. ShardWriter.Write(folder, state.Images)];

        // Last, so that a manifest means that everything before it was written.
        ShardWriter.WriteFile(folder, CheckpointManifest.FileName, JsonSerializer.SerializeToUtf8Bytes(
            new CheckpointManifest(CheckpointManifest.CurrentFormat, state.Iteration, state.Epoch, state.Totals, files, state.OwesMeasurement)
            {
                Score = state.Score,
                Trainers = TrainersOf(state),
            },
            CheckpointJson.Options));
    }

    private static Dictionary<string, ManifestTrainer> TrainersOf(RunState state) => state.Images
        .Where(image => image.Key.StartsWith(TrainerSlot, StringComparison.Ordinal))
        .GroupBy(image => image.Key[TrainerSlot.Length..].Split('@')[0])
        .ToDictionary(model => model.Key, model => new ManifestTrainer(model.Count(), model.Select(image => StrategyOf(image.Value)).FirstOrDefault()));

    // An engine says in one of its documents how its state is cut.
    private static string? StrategyOf(StateImage image)
    {
        foreach (var name in image.JsonNames)
        {
            using var document = JsonDocument.Parse(image.ReadJson(name));
            if (document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("Sharding", out var sharding) && sharding.ValueKind == JsonValueKind.String)
                return sharding.GetString();
        }

        return null;
    }

    /// <summary>
    /// Clears away what a killed writer left. A checkpoint that had been moved aside for one that never came takes its
    /// place again.
    /// </summary>
    /// <param name="parent">Folder of the checkpoints.</param>
    /// <param name="remark">Told what could not be removed, which is in nobody's way.</param>
    /// <param name="epoch">What writers of later attempts are at is left alone.</param>
    public static void Recover(string parent, Action<string> remark, long epoch)
    {
        if (!Directory.Exists(parent))
            return;
        foreach (var folder in Directory.GetDirectories(parent, $".*{Unfinished}").Where(folder => EpochOf(folder) <= epoch))
        {
            var name = Path.GetFileName(folder);
            var kept = Path.Combine(parent, name.EndsWith(Replaced, StringComparison.Ordinal) ? name[1..^Replaced.Length] : name);
            if (Directory.Exists(kept))
                Remove(folder, remark);
            else
                Directory.Move(folder, kept);
        }
    }

    // 0 for one that says nothing of it.
    private static long EpochOf(string unfinished) =>
        long.TryParse(Path.GetFileName(unfinished).Split('.')[^2], NumberStyles.None, CultureInfo.InvariantCulture, out var epoch) ? epoch : 0;

    // A branch that was given up stays until the run has come past it; it takes no place of the run's own checkpoints.
    private static string[] Old(string runFolder, long newest, int keep, BestRule? rule)
    {
        var own = Checkpoints.FoldersOf(runFolder).Where(folder => Checkpoints.IterationOf(folder) <= newest).ToArray();
        var best = rule?.BestOf(own.Select(Checkpoints.SummaryOf).OfType<CheckpointSummary>())?.Folder;
        var old = own.Skip(Math.Max(1, keep)).Where(folder => folder != best);
        var passed = Checkpoints.GivenUp(runFolder).Where(folder => Checkpoints.IterationOf(folder) <= newest);
        return [.. old, .. passed];
    }

    // A run does not end for what is only too much on its disk. What stays is tried again with the next checkpoint.
    private static void Remove(string folder, Action<string> remark)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            remark($"{folder} is no longer needed but could not be removed: {error.Message}");
        }
    }
}
