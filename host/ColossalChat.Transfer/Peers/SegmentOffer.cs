using System.Globalization;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// How processes come to share memory: rank 0 makes a file of a random name and says which; the others open it, which only
/// succeeds on the same machine, and say whether they could; rank 0 takes the name away and tells all how it ended.
/// </summary>
internal sealed class SegmentOffer(RankPlace place, ControlLines control, int[] others, string name, long bytes, Deadline deadline)
{
    private const string Have = "have";
    private const string Cannot = "cannot";
    private const string Disagree = "disagree";

    private string Key(string step) => $"segment {step} {name}";

    public ISharedSegment? Settle() => place.Rank == 0 ? Offer() : Accept();

    private MappedSegment? Offer()
    {
        var (segment, path) = Make();
        try
        {
            foreach (var peer in others)
                control.Post(peer, Key("offer"), $"{bytes.ToString(CultureInfo.InvariantCulture)}|{path}");
            var replies = control.Await(others, Key("reply"), deadline, out var missing);
            if (missing.Length > 0)
                throw DidNotAsk(missing);
            var verdict = replies.Values.FirstOrDefault(reply => reply.StartsWith(Disagree, StringComparison.Ordinal))
                ?? replies.Values.FirstOrDefault(reply => reply != Have)
                ?? Have;
            foreach (var peer in others)
                control.Post(peer, Key("verdict"), verdict);
            return Conclude(segment, verdict);
        }
        catch
        {
            segment?.Dispose();
            throw;
        }
        finally
        {
            if (path.Length > 0)
                File.Delete(path);
        }
    }

    private MappedSegment? Accept()
    {
        var offer = One("offer");
        var cut = offer.IndexOf('|', StringComparison.Ordinal);
        var (offered, path) = (offer[..cut], offer[(cut + 1)..]);
        MappedSegment? segment = null;
        try
        {
            var reply = Cannot;
            if (offered != bytes.ToString(CultureInfo.InvariantCulture))
                reply = $"{Disagree}Segment '{name}' of group '{place.Group}' has {bytes} bytes at rank {place.Rank} and {offered} at rank 0; all must agree.";
            else if (TryOpen(path, out segment))
                reply = Have;
            control.Post(0, Key("reply"), reply);
            return Conclude(segment, One("verdict"));
        }
        catch
        {
            segment?.Dispose();
            // Rank 0 does this too, unless it died; whoever finds no file there is content.
            if (segment is not null)
                File.Delete(path);
            throw;
        }
    }

    private static MappedSegment? Conclude(MappedSegment? segment, string verdict)
    {
        if (verdict == Have)
            return segment;
        segment?.Dispose();
        return verdict == Cannot ? null : throw new ArgumentException(verdict[Disagree.Length..]);
    }

    private (MappedSegment? Segment, string Path) Make()
    {
        try
        {
            return (MappedSegment.Create(bytes, out var path), path);
        }
        catch (IOException)
        {
            // No room: all ranks learn it through the empty path and do without.
            return (null, "");
        }
    }

    private bool TryOpen(string path, out MappedSegment? segment)
    {
        segment = null;
        if (!File.Exists(path))
            return false;
        try
        {
            segment = MappedSegment.Open(path, bytes);
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private string One(string step)
    {
        var words = control.Await([0], Key(step), deadline, out var missing);
        return missing.Length == 0 ? words[0] : throw DidNotAsk(missing);
    }

    private TimeoutException DidNotAsk(int[] missing) =>
        new($"Group '{place.Group}': rank(s) {string.Join(", ", missing)} of {place.Ranks} did not ask for segment '{name}' within {deadline.Span}.");
}
