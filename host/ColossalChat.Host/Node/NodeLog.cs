using System.Globalization;
using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Host.Node;

/// <summary>The node's log: to the console what the user wants to read, to a file everything.</summary>
internal sealed class NodeLog : INodeLog, IDisposable
{
    private readonly HostConsole _console;
    private readonly bool _isVerbose;
    private readonly Lock _lock = new();
    private FileStream? _file;

    /// <summary>Opens the log.</summary>
    /// <param name="console">Takes information, warnings and errors; details too when verbose.</param>
    /// <param name="isVerbose">True for details on the console.</param>
    /// <param name="file">File that takes everything, appended to; null for none.</param>
    public NodeLog(HostConsole console, bool isVerbose, string? file = null)
    {
        (_console, _isVerbose) = (console, isVerbose);
        if (file is not null)
            _file = new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
    }

    public void Debug(string message) => Write("DEBUG", message, _isVerbose);

    public void Info(string message) => Write("INFO", message, isShown: true);

    public void Warning(string message) => Write("WARNING", message, isShown: true);

    public void Error(string message) => Write("ERROR", message, isShown: true);

    public void Dispose() => _file?.Dispose();

    private void Write(string level, string message, bool isShown)
    {
        lock (_lock)
            Keep($"{DateTimeOffset.Now.ToString("yyyy-MM-dd HH:mm:ss.fff zzz", CultureInfo.InvariantCulture)} {level} {message}\n");
        if (isShown)
            _console.Line(level is "INFO" ? message : $"{level.ToLowerInvariant()}: {message}");
    }

    // A full disk must not end what is only being told; the console still tells it.
    private void Keep(string line)
    {
        try
        {
            _file?.Write(Encoding.UTF8.GetBytes(line));
        }
        catch (IOException error)
        {
            _console.Line($"warning: the log cannot be written any more: {error.Message}");
            _file?.Dispose();
            _file = null;
        }
    }
}

/// <summary>A log that nobody reads.</summary>
internal sealed class SilentLog : INodeLog
{
    public static SilentLog Instance { get; } = new();

    public void Debug(string message)
    {
    }

    public void Info(string message)
    {
    }

    public void Warning(string message)
    {
    }

    public void Error(string message)
    {
    }
}
