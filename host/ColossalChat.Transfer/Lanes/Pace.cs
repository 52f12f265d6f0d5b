using System.Diagnostics;

namespace ColossalChat.Transfer;

/// <summary>
/// Holds senders to so many bytes per second together: a bucket of tokens that holds what 20 ms bring. Safe to use from
/// several threads.
/// </summary>
/// <param name="quota">Bytes per second; 0 for no limit.</param>
internal sealed class Pace(long quota)
{
    /// <summary>Smallest quota, bytes per second.</summary>
    public const long Slowest = 1 << 16;

    private const int SmallPiece = 1 << 14;
    private const double BucketSeconds = 0.02;
    private readonly Lock _gate = new();
    private long _paidUntil = Stopwatch.GetTimestamp();

    /// <summary>Most bytes to send at once, so that others get their turn between.</summary>
    public int Piece => quota == 0 ? 1 << 20 : SmallPiece;

    /// <summary>How long to wait before sending that many bytes; they count as sent.</summary>
    public TimeSpan Take(int bytes)
    {
        if (quota == 0)
            return TimeSpan.Zero;
        lock (_gate)
        {
            // Time is the currency: the moment until which what was sent has been paid for.
            var now = Stopwatch.GetTimestamp();
            var oldest = now - (long)(BucketSeconds * Stopwatch.Frequency);
            var start = Math.Max(_paidUntil, oldest);
            _paidUntil = start + (long)((double)bytes / quota * Stopwatch.Frequency);
            return start > now ? Stopwatch.GetElapsedTime(now, start) : TimeSpan.Zero;
        }
    }
}
