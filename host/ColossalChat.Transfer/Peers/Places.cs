using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>What all kinds of peer links say about places in a group.</summary>
internal static class Places
{
    public static void Check(RankPlace place)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(place.Ranks, 1);
        if (place.Rank < 0 || place.Rank >= place.Ranks)
            throw new ArgumentOutOfRangeException(nameof(place), place.Rank, $"Group '{place.Group}' has ranks 0 to {place.Ranks - 1}.");
    }

    public static void CheckPeer(RankPlace place, int peer)
    {
        if (peer < 0 || peer >= place.Ranks || peer == place.Rank)
            throw new ArgumentOutOfRangeException(nameof(peer), peer,
                $"Rank {place.Rank} of group '{place.Group}' has links to the other ranks of 0 to {place.Ranks - 1}.");
    }

    public static TimeoutException DidNotCome(RankPlace place, IEnumerable<int> missing, TimeSpan deadline) =>
        new($"Group '{place.Group}': rank(s) {string.Join(", ", missing)} of {place.Ranks} did not come within {deadline}.");

    public static IOException Broken(RankPlace place, string reason) =>
        new($"Group '{place.Group}' is broken: {reason}");
}
