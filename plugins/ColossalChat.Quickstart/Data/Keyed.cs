namespace ColossalChat.Quickstart.Data;

/// <summary>
/// A run of random numbers that depends on nothing but (seed, purpose, index): the same three give the same
/// numbers on every machine, and row 5 does not depend on whether row 4 was made.
/// </summary>
internal sealed class Keyed(ulong seed, string purpose, long index)
{
    private readonly ulong _key = Mix(Mix(seed ^ Hash(purpose)) ^ (ulong)index);
    private ulong _count;

    /// <summary>The next 64 random bits of this run.</summary>
    public ulong Bits() => Mix(_key + (++_count * 0x9E3779B97F4A7C15UL));

    /// <summary>A number from 0 up to, not including, <paramref name="limit"/> (at least 1).</summary>
    public int Below(int limit) => (int)(((Bits() >> 32) * (ulong)limit) >> 32);

    /// <summary>True with this probability (0 to 1).</summary>
    public bool Chance(double probability) => (Bits() >> 11) * (1.0 / (1UL << 53)) < probability;

    /// <summary>One element; every one is equally likely.</summary>
    public T Pick<T>(IReadOnlyList<T> from) => from[Below(from.Count)];

    /// <summary>A copy of <paramref name="items"/> in random order.</summary>
    public T[] Shuffle<T>(IEnumerable<T> items)
    {
        var order = items.ToArray();
        for (var i = order.Length - 1; i > 0; i--)
        {
            var other = Below(i + 1);
            (order[i], order[other]) = (order[other], order[i]);
        }

        return order;
    }

    // The finaliser of SplitMix64.
    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }

    // FNV-1a over the characters: string.GetHashCode differs from run to run.
    private static ulong Hash(string text)
    {
        var hash = 14695981039346656037UL;
        foreach (var c in text)
            hash = (hash ^ c) * 1099511628211UL;
        return hash;
    }
}
