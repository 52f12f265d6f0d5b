using System.Runtime.InteropServices;
using ColossalChat.Contracts;

namespace ColossalChat.Zero;

/// <summary>All ranks tell all over their links what they ask for. Passing it is a barrier.</summary>
internal static class Comparison
{
    /// <summary>Returns when all have come with the same call.</summary>
    public static void Exchange(
        IPeerLink?[] links, CollectiveCall call, Func<TimeSpan> left, Func<string, Exception> fail, RankPlace place, Action<IReadOnlyList<int>> look)
    {
        var calls = new[] { call };
        foreach (var link in links)
            link?.Send(MemoryMarshal.AsBytes<CollectiveCall>(calls), left());
        var missing = new List<int>();
        foreach (var link in links)
        {
            if (link is null)
                continue;
            try
            {
                link.Receive(MemoryMarshal.AsBytes(calls.AsSpan()), left());
            }
            catch (TimeoutException)
            {
                // Named together with the others that are late.
                missing.Add(link.Peer);
                continue;
            }

            if (calls[0] != call)
                throw fail(Breakage.Differs(call, place, link.Peer, calls[0]));
        }

        look(missing);
    }
}
