namespace ColossalChat.Contracts;

/// <summary>Exit codes of the program; scripts rely on them.</summary>
public enum ExitCode
{
    /// <summary>All went well.</summary>
    Ok = 0,

    /// <summary>The work failed.</summary>
    Failed = 1,

    /// <summary>The command line is wrong.</summary>
    Usage = 2,

    /// <summary>Configuration or data is invalid.</summary>
    Invalid = 3,

    /// <summary>A file, model, plugin or run does not exist.</summary>
    NotFound = 4,

    /// <summary>Memory, disk, port or device is missing.</summary>
    Resource = 5,

    /// <summary>Stopped by Ctrl+C after a checkpoint.</summary>
    Interrupted = 130,
}

/// <summary>
/// An error that a user can mend. The message names the thing, its value, what is allowed and the next step; it is
/// printed without a stack trace.
/// </summary>
/// <param name="message">What to print.</param>
/// <param name="exitCode">The program's exit code.</param>
/// <param name="inner">The cause, shown with <c>-v</c>.</param>
public sealed class UserErrorException(string message, ExitCode exitCode = ExitCode.Invalid, Exception? inner = null)
    : Exception(message, inner)
{
    /// <summary>The program's exit code.</summary>
    public ExitCode ExitCode { get; } = exitCode;
}
