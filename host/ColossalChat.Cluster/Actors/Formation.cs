namespace ColossalChat.Cluster;

/// <summary>Under which number the ranks of a model's trainer come together; those of different numbers never meet.</summary>
/// <param name="Number">See <see cref="NumberOf"/>.</param>
/// <param name="Cancel">Its end, after which none waits for the others.</param>
internal readonly record struct Formation(long Number, CancellationToken Cancel)
{
    private const int AttemptBits = 32;

    /// <summary>The number of an attempt itself while its roles are the first, else one that no attempt has.</summary>
    /// <param name="attempt">From 1.</param>
    /// <param name="madeAnew">How often roles of the attempt were made anew.</param>
    public static long NumberOf(long attempt, long madeAnew) => attempt + (madeAnew << AttemptBits);
}
