using System.Diagnostics;

namespace ColossalChat.Transfer;

/// <summary>A wait that began when this was made.</summary>
internal readonly struct Deadline(TimeSpan span)
{
    private readonly long _started = Stopwatch.GetTimestamp();

    /// <summary>The whole wait.</summary>
    public TimeSpan Span => span;

    /// <summary>What is left; zero or negative once it has passed.</summary>
    public TimeSpan Left => span - Stopwatch.GetElapsedTime(_started);

    /// <summary>True once nothing is left.</summary>
    public bool HasPassed => Left <= TimeSpan.Zero;

    /// <summary>What is left for a waiting call, at most <paramref name="most"/>. Rounded up, so that no wait ends before the deadline and then spins.</summary>
    public int Milliseconds(int most = int.MaxValue - 1) =>
        (int)Math.Clamp(Math.Ceiling(Left.TotalMilliseconds), 0, most);
}
