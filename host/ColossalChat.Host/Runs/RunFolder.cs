using System.Globalization;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;

namespace ColossalChat.Host.Runs;

/// <summary>A run's folder and the names of what is in it.</summary>
/// <param name="Path">The folder.</param>
internal sealed record RunFolder(string Path)
{
    public string EffectiveConfig => In("config.effective.hocon");

    public string Metrics => In("metrics.jsonl");

    public string Events => In("events.jsonl");

    public string Samples => In("samples.jsonl");

    public string Log => In("log.txt");

    public string JsonLog => In("log.jsonl");

    public string PluginVersions => In("plugins.jsonl");

    public string EnvironmentFile => In("env.json");

    public string Traces => In("traces.jsonl");

    /// <summary>
    /// Tells the run from every other, the same on all nodes that share its folder and for all its life: its name and what
    /// was drawn for it when it was first asked for. Where nobody traces it is the name alone, and nothing is written.
    /// </summary>
    /// <param name="telemetry">Whether somebody traces.</param>
    public string IdentityFor(TelemetrySettings telemetry)
    {
        var name = System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(Path)));
        if (!telemetry.IsTracing)
            return name;
        // A file that is moved may land on that of a node which was quicker; a folder with something in it never does.
        var (identity, draft) = (In("identity"), In($"identity.{Guid.NewGuid():N}"));
        try
        {
            if (!Directory.Exists(identity))
            {
                Directory.CreateDirectory(draft);
                File.WriteAllText(System.IO.Path.Combine(draft, "run.id"), Guid.NewGuid().ToString("N"));
                Directory.Move(draft, identity);
            }
        }
        catch (IOException) when (Directory.Exists(identity))
        {
            Directory.Delete(draft, recursive: true);
        }

        return $"{name}@{File.ReadAllText(System.IO.Path.Combine(identity, "run.id"))}";
    }

    public string In(string file) => System.IO.Path.Combine(Path, file);

    /// <summary>
    /// Makes a new folder: the name, or name-2, name-3, ... when it is taken. The effective configuration is its first
    /// file and claims it, so that two processes that start at once get two folders.
    /// </summary>
    public static RunFolder Create(string root, string name, string effectiveConfig)
    {
        for (var number = 1; ; number++)
        {
            var folder = new RunFolder(System.IO.Path.Combine(root, Numbered(name, number)));
            if (Directory.Exists(folder.Path) || File.Exists(folder.Path))
                continue;
            try
            {
                Directory.CreateDirectory(folder.Path);
                using var file = new StreamWriter(new FileStream(folder.EffectiveConfig, FileMode.CreateNew, FileAccess.Write));
                file.Write(effectiveConfig);
                return folder;
            }
            catch (IOException) when (File.Exists(folder.EffectiveConfig))
            {
                continue; // Somebody else took the name between the two calls.
            }
            catch (Exception error) when (error is UnauthorizedAccessException or IOException)
            {
                throw new UserErrorException($"The run folder {folder.Path} cannot be made: {error.Message} Set run.folder to a place you may write to.", ExitCode.Resource, error);
            }
        }
    }

    /// <summary>Takes the folder for this process until the result is disposed: two processes must not write into one run.</summary>
    /// <exception cref="UserErrorException">Another process has it, or it cannot be written to.</exception>
    public IDisposable Hold()
    {
        try
        {
            return new FileStream(In(".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException error)
        {
            throw new UserErrorException($"The run folder {Path} is in use: {error.Message} Stop the process that runs there, or start a new run without --resume.", ExitCode.Resource, error);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new UserErrorException($"The run folder {Path} cannot be written to: {error.Message} Make it writable, or copy it to where you may write and resume the copy.", ExitCode.Resource, error);
        }
    }

    /// <summary>True while a process holds the folder, on whatever machine: its run is going on.</summary>
    public bool IsHeld()
    {
        try
        {
            using var probe = new FileStream(In(".lock"), FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    /// <summary>True while the run has made nothing: no metric, no checkpoint.</summary>
    public bool IsUnused() =>
        (!File.Exists(Metrics) || new FileInfo(Metrics).Length == 0) && !Directory.Exists(In("checkpoints")) && !Directory.Exists(In("models"));

    /// <summary>Removes the folder of a run that never began, so that its name is free again.</summary>
    public void GiveUp()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Somebody looks into it; it then stays, and the next run is numbered.
            return;
        }
    }

    /// <summary>The run and checkpoint that <c>--resume</c> means; the checkpoint is read and checked.</summary>
    /// <param name="resume"><c>latest</c>, a run folder or a checkpoint folder.</param>
    /// <param name="root">Where <c>latest</c> looks.</param>
    /// <param name="name">The run name it looks for.</param>
    /// <param name="remark">Takes a sentence for each newer run and checkpoint that cannot be used.</param>
    /// <param name="mayMend">False leaves everything as it is, also what a killed writer left; the run may be going on.</param>
    /// <exception cref="UserErrorException">There is no such run, or it has no checkpoint.</exception>
    public static (RunFolder Run, Checkpoint Checkpoint) Find(string resume, string root, string name, Action<string> remark, bool mayMend = true)
    {
        if (resume == "latest")
            return Latest(root, name, remark, mayMend);
        if (!Directory.Exists(resume))
            throw new UserErrorException($"--resume {resume}: there is no such folder; give 'latest', a run folder or a checkpoint folder.", ExitCode.NotFound);
        var full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(resume));
        var parent = System.IO.Path.GetDirectoryName(full);
        if (Checkpoints.IsGivenUp(full))
            throw new UserErrorException($"--resume {resume}: this checkpoint is of a branch that its run gave up. To return to it, move it to {System.IO.Path.GetDirectoryName(parent)} and resume it there.");
        if (System.IO.Path.GetFileName(parent) == "checkpoints")
            return (new RunFolder(System.IO.Path.GetDirectoryName(parent)!), Checkpoints.Open(full));
        return LatestIn(resume, remark, mayMend) is { } checkpoint
            ? (new RunFolder(System.IO.Path.TrimEndingDirectorySeparator(resume)), checkpoint)
            : throw new UserErrorException($"--resume {resume}: the run has no complete checkpoint; start it anew, with run.checkpoint-every above 0.", ExitCode.NotFound);
    }

    /// <summary>When a run began; the beginning of time for a folder that is no run.</summary>
    public static DateTime BegunAt(string folder)
    {
        var run = new RunFolder(folder);
        return run.Marks.Where(File.Exists).Select(File.GetLastWriteTimeUtc).FirstOrDefault();
    }

    /// <summary>Files that tell a run from other folders, the one that is written first before the others.</summary>
    public IReadOnlyList<string> Marks => [EffectiveConfig, EnvironmentFile, Metrics];

    private static (RunFolder Run, Checkpoint Checkpoint) Latest(string root, string name, Action<string> remark, bool mayMend)
    {
        var folders = Directory.Exists(root) ? Directory.GetDirectories(root) : [];
        var newestFirst = folders
            .Select(folder => (Folder: folder, Number: NumberOf(System.IO.Path.GetFileName(folder), name)))
            .Where(run => run.Number > 0)
            .OrderByDescending(run => BegunAt(run.Folder))
            .ThenByDescending(run => run.Number);
        foreach (var (folder, _) in newestFirst)
        {
            if (LatestIn(folder, remark, mayMend) is { } checkpoint)
                return (new RunFolder(folder), checkpoint);
            remark($"warning: --resume latest passes over {folder}: it has no complete checkpoint.");
        }

        throw new UserErrorException(
            $"--resume latest: no run named '{name}' in {root} has a complete checkpoint. Give a run folder instead, or start without --resume.", ExitCode.NotFound);
    }

    private static Checkpoint? LatestIn(string runFolder, Action<string> remark, bool mayMend)
    {
        // Held, because a living writer's half-written checkpoint is its own.
        if (mayMend)
            using (new RunFolder(runFolder).Hold())
                Checkpoints.Recover(runFolder, left => remark($"warning: {left}"));
        var choice = Checkpoints.Latest(runFolder);
        foreach (var skipped in choice.Skipped)
            remark($"warning: {skipped}");
        return choice.Checkpoint;
    }

    private static string Numbered(string name, int number) => number == 1 ? name : string.Create(CultureInfo.InvariantCulture, $"{name}-{number}");

    // 1 for the name itself, N for name-N, 0 for anything else.
    private static int NumberOf(string folder, string name)
    {
        if (folder == name)
            return 1;
        return folder.StartsWith(name + "-", StringComparison.Ordinal)
            && int.TryParse(folder.AsSpan(name.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 1
            ? number
            : 0;
    }
}
