using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Transfer;

namespace ColossalChat.Host.Ranks;

/// <summary>
/// The child processes of a run's ranks. A process is started when the first of its ranks is asked for and lives as long
/// as one of them is in use; it ends by itself when this process dies. Safe to use from several threads.
/// </summary>
internal sealed class RankProcesses : IDisposable
{
    /// <summary>How the names of the folders begin where the ranks of a run meet.</summary>
    public const string FolderPrefix = "colossalchat-ranks-";

    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(10);
    private readonly TimeSpan _farewell;
    private readonly Lock _lock = new();
    private readonly Dictionary<(int Process, long Attempt), Child> _children = [];
    private readonly RankLayout _layout;
    private readonly RunBinding _binding;
    private readonly INodeLog _log;
    private readonly string _runFolder;
    private readonly IReadOnlyList<string> _arguments;
    private readonly string _folder = Directory.CreateTempSubdirectory(FolderPrefix).FullName;
    private bool _isDisposed;

    /// <summary>Puts down what the children need; starts none.</summary>
    /// <param name="binding">The run.</param>
    /// <param name="host">Its plugins and flags are the children's too.</param>
    /// <param name="runFolder">Folder of the run.</param>
    /// <param name="log">Takes what the children say.</param>
    public RankProcesses(RunBinding binding, HostServices host, string runFolder, INodeLog log)
    {
        var settings = binding.Current.Settings;
        (_binding, _layout, _log, _runFolder) = (binding, new RankLayout(settings.Trainer), log, runFolder);
        // A rank that loads its model hears of nothing, and the end of an attempt does not wait longer than this.
        var half = settings.Flow.CancelGrace / 2;
        _farewell = half < s_farewell ? half : s_farewell;
        var folders = host.Catalog.Folders.Except(HostServices.ShippedFolders).SelectMany(folder => (string[])["--plugins", folder]);
        _arguments = ["--run-folder", runFolder, "--meet", Address, .. folders, .. host.IsVerbose ? (string[])["-v"] : []];
    }

    /// <summary>Where all ranks meet.</summary>
    public string Address => $"dir:{_folder}";

    /// <summary>A trainer whose rank computes in its process.</summary>
    public ITrainerRole Connect(string model, int rank, long attempt, CancellationToken cancel)
    {
        var key = (_layout.ProcessOf(rank)!.Value, attempt);
        var child = Enter(key);
        try
        {
            return Meet(child, new RemoteRank(model, rank, attempt), () => Leave(key), cancel);
        }
        catch
        {
            Leave(key);
            throw;
        }
    }

    /// <summary>Ends those that still run, which frees whoever waits for them. Later calls do nothing.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isDisposed)
                return;
            _isDisposed = true;
            foreach (var child in _children.Values)
                child.End(TimeSpan.Zero);
            _children.Clear();
        }

        try
        {
            Directory.Delete(_folder, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A thread that looks for a rank at this very moment still has its card there.
            _log.Warning($"{_folder} could not be removed: {error.Message}");
        }
    }

    // Looks after the child between short waits: one that ended at its start would be waited for in vain.
    private ITrainerRole Meet(Child child, RemoteRank rank, Action ended, CancellationToken cancel)
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                return RemoteTrainers.Connect(PeerAddress.Open(Address), rank, _runFolder, s_look, ended, cancel);
            }
            catch (TimeoutException) when (!child.HasExited && Stopwatch.GetElapsedTime(began) < RankLayout.StartDeadline)
            {
                continue;
            }
            catch (Exception error) when (child.HasExited)
            {
                var words = child.LastWords;
                throw new IOException($"The process of {rank} ended before it was ready{(words.Length > 0 ? $":\n{words}" : ".")}", error);
            }
        }
    }

    private Child Enter((int Process, long Attempt) key)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (!_children.TryGetValue(key, out var child))
                _children[key] = child = new Child(Start(key), $"rank process {key.Process}", _log);
            child.Users++;
            return child;
        }
    }

    private void Leave((int Process, long Attempt) key)
    {
        Child? child;
        lock (_lock)
        {
            if (!_children.TryGetValue(key, out child) || --child.Users > 0)
                return;
            _children.Remove(key);
        }

        child.End(_farewell);
    }

    // A version that was swapped in may have options that the one before did not have.
    private string ConfigFile()
    {
        var config = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"run.{_binding.Version}.hocon"));
        if (!File.Exists(config))
            File.WriteAllText(config, _binding.Current.EffectiveText());
        return config;
    }

    // The program is its own executable, or dotnet with an assembly.
    private Process Start((int Process, long Attempt) key)
    {
        var program = Environment.ProcessPath ?? throw new UserErrorException("The path of this program is not known, so it cannot start its ranks. Set trainer.processes = 0.", ExitCode.Failed);
        var isDotnet = Path.GetFileNameWithoutExtension(program).Equals("dotnet", StringComparison.OrdinalIgnoreCase);
        string[] entry = isDotnet ? [Assembly.GetEntryAssembly()!.Location] : [];
        string[] swapped = [.. _binding.Swapped.SelectMany(plugin => (string[])["--swapped", $"{plugin.Key}={plugin.Value}"])];
        string[] which = [.. swapped, "--process", key.Process.ToString(CultureInfo.InvariantCulture), "--attempt", key.Attempt.ToString(CultureInfo.InvariantCulture)];
        return Process.Start(new ProcessStartInfo(program, [.. entry, "rank", ConfigFile(), .. _arguments, .. which]) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true })!;
    }

    private sealed class Child
    {
        private const int KeptLines = 20;
        private readonly Process _process;
        private readonly Queue<string> _lines = [];

        public Child(Process process, string name, INodeLog log)
        {
            _process = process;
            void Hear(string? line)
            {
                if (line is null)
                    return;
                log.Debug($"{name}: {line}");
                lock (_lines)
                {
                    _lines.Enqueue(line);
                    if (_lines.Count > KeptLines)
                        _lines.Dequeue();
                }
            }

            process.OutputDataReceived += (_, line) => Hear(line.Data);
            process.ErrorDataReceived += (_, line) => Hear(line.Data);
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
        }

        public int Users { get; set; }

        public bool HasExited => _process.HasExited;

        public string LastWords
        {
            get
            {
                lock (_lines)
                    return string.Join('\n', _lines);
            }
        }

        /// <summary>Lets it end by itself, which it does once its callers are gone, but not for long.</summary>
        public void End(TimeSpan patience)
        {
            if (!_process.WaitForExit(patience))
                _process.Kill(entireProcessTree: true);
            _process.Dispose();
        }
    }
}
