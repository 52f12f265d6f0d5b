using System.Globalization;
using System.Text;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Node;

/// <summary>The node's log: to the console what the user wants to read, to a file everything.</summary>
internal sealed class NodeLog : INodeLog, IDisposable
{
    private readonly HostConsole _console;
    private readonly bool _isVerbose;
    private readonly Lock _lock = new();
    private readonly string _node;
    private FileStream? _file;
    private JsonLines? _json;

    /// <summary>Opens the log.</summary>
    /// <param name="console">Takes information, warnings and errors; details too when verbose.</param>
    /// <param name="isVerbose">True for details on the console.</param>
    /// <param name="file">File that takes everything, appended to; null for none.</param>
    /// <param name="json">File that takes the same as JSON, one object a line; null for none.</param>
    /// <param name="node">Name of the node in it; the machine's when empty.</param>
    public NodeLog(HostConsole console, bool isVerbose, string? file = null, string? json = null, string node = "")
    {
        (_console, _isVerbose, _node) = (console, isVerbose, node.Length > 0 ? node : Environment.MachineName);
        if (json is not null)
            _json = new JsonLines(json);
        if (file is not null)
            _file = new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
    }

    public void Debug(string message) => Write("DEBUG", message, _isVerbose);

    public void Info(string message) => Write("INFO", message, isShown: true);

    public void Warning(string message) => Write("WARNING", message, isShown: true);

    public void Error(string message) => Write("ERROR", message, isShown: true);

    /// <summary>Writes a line whose origin is known.</summary>
    /// <param name="level">DEBUG, INFO, WARNING or ERROR.</param>
    /// <param name="message">The line.</param>
    /// <param name="about">Role slot and batch that it is about; null when it is about none.</param>
    public void Write(string level, string message, (string? Role, string? Batch) about) => Write(level, message, level != "DEBUG" || _isVerbose, about);

    public void Dispose()
    {
        _file?.Dispose();
        _json?.Dispose();
    }

    // A line that a role writes during a call is about the batch of that call.
    private void Write(string level, string message, bool isShown) =>
        Write(level, message, isShown, CurrentCall.Value is { } call ? (call.Role, call.Batch.ToString()) : default);

    private void Write(string level, string message, bool isShown, (string? Role, string? Batch) about)
    {
        var now = DateTimeOffset.Now;
        lock (_lock)
        {
            Keep($"{now.ToString("yyyy-MM-dd HH:mm:ss.fff zzz", CultureInfo.InvariantCulture)} {level} {message}\n");
            Keep(new LogLine(now, level.ToLowerInvariant(), _node, about.Batch, about.Role, message));
        }

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

    private void Keep(LogLine line)
    {
        try
        {
            _json?.Append(line);
        }
        catch (IOException error)
        {
            _console.Line($"warning: log.jsonl cannot be written any more: {error.Message}");
            _json?.Dispose();
            _json = null;
        }
    }
}

/// <summary>A line of log.jsonl.</summary>
/// <param name="Time">When.</param>
/// <param name="Level">debug, info, warning or error.</param>
/// <param name="Node">The node that wrote it.</param>
/// <param name="Batch">The batch it is about, such as <c>12.0</c>; null for none.</param>
/// <param name="Role">The role's slot, such as <c>rollout</c>; null for none.</param>
/// <param name="Message">What log.txt says.</param>
internal sealed record LogLine(DateTimeOffset Time, string Level, string Node, string? Batch, string? Role, string Message);

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
