namespace ColossalChat.Contracts;

/// <summary>What a random number is for. Numbers of different purposes never meet. Values are part of saved runs.</summary>
public enum RandomPurpose
{
    /// <summary>Drawing tokens.</summary>
    Sampling = 1,

    /// <summary>Order of data.</summary>
    Shuffle = 2,

    /// <summary>First weights.</summary>
    Initialisation = 3,

    /// <summary>Dropout masks.</summary>
    Dropout = 4,

    /// <summary>Making data.</summary>
    Data = 5,
}

/// <summary>
/// Counter-based random numbers: the same key and position give the same number on every machine, in every order, with
/// no state to save. Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
/// </summary>
/// <param name="Seed">The run's seed.</param>
/// <param name="Purpose">What the numbers are for.</param>
/// <param name="Iteration">Which iteration, epoch or data set; 0 where there is none. Below 2^44.</param>
/// <param name="Prompt">Which prompt, parameter or row. Below 2^32.</param>
/// <param name="Sample">Which of several answers. Below 2^16.</param>
public readonly record struct RandomKey(ulong Seed, RandomPurpose Purpose, long Iteration = 0, long Prompt = 0, int Sample = 0)
{
    /// <summary>32 random bits at a position.</summary>
    /// <param name="position">Token position or element index, from 0; below 2^32.</param>
    public uint Bits(long position) => Block(position).First;

    /// <summary>
    /// 128 random bits at a position, the first word being <see cref="Bits"/>: four numbers for the price of one, for
    /// whoever fills large blocks.
    /// </summary>
    /// <param name="position">As in <see cref="Bits"/>.</param>
    public (uint First, uint Second, uint Third, uint Fourth) Block(long position)
    {
        // Seed is the Philox key; the counter holds everything else, so no two uses share a block.
        var (c0, c1, c2, c3) = (
            (uint)position,
            (uint)Prompt,
            (uint)Iteration,
            ((uint)Purpose << 28) | ((uint)(ushort)Sample << 12) | ((uint)((ulong)Iteration >> 32) & 0xFFF));
        var (k0, k1) = ((uint)Seed, (uint)(Seed >> 32));
        for (var round = 0; round < 10; round++)
        {
            var (p0, p1) = (0xD2511F53ul * c0, 0xCD9E8D57ul * c2);
            (c0, c1, c2, c3) = ((uint)(p1 >> 32) ^ c1 ^ k0, (uint)p1, (uint)(p0 >> 32) ^ c3 ^ k1, (uint)p0);
            (k0, k1) = (k0 + 0x9E3779B9u, k1 + 0xBB67AE85u);
        }

        return (c0, c1, c2, c3);
    }

    /// <summary>Uniform in [0, 1), with 32 bits.</summary>
    public double Uniform(long position) => Bits(position) * (1.0 / 4294967296.0);

    /// <summary>Standard normal (Box-Muller over two neighbouring positions).</summary>
    /// <param name="position">Element index, from 0; below 2^31.</param>
    public double Normal(long position)
    {
        var radius = Math.Sqrt(-2 * Math.Log(1 - Uniform(2 * position)));
        return radius * Math.Cos(2 * Math.PI * Uniform((2 * position) + 1));
    }

    /// <summary>A permutation of 0 .. count - 1 (Fisher-Yates).</summary>
    public int[] Permutation(int count)
    {
        var order = Enumerable.Range(0, count).ToArray();
        for (var i = count - 1; i > 0; i--)
        {
            var j = (int)(((ulong)Bits(i) * (ulong)(i + 1)) >> 32);
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }
}
