using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

/// <summary>Shares rows out over the threads that libtorch may use on the calling thread.</summary>
public static class RowLoop
{
    // Handing work to another thread costs some microseconds.
    private const long SmallestShare = 1 << 15;

    /// <summary>
    /// Calls <paramref name="body"/> for pieces of rows. How rows are cut depends on their number alone, so sums kept per
    /// piece do not depend on the number of threads.
    /// </summary>
    /// <param name="rows">Rows in all.</param>
    /// <param name="rowLength">Elements of a row.</param>
    /// <param name="body">Gets piece, first row and row after the last; called from several threads.</param>
    public static void For(long rows, int rowLength, Action<int, long, long> body)
    {
        var size = SizeOf(rowLength);
        var pieces = PiecesOf(rows, rowLength);
        var threads = Math.Min(pieces, get_num_threads());
        if (threads <= 1)
        {
            for (var piece = 0; piece < pieces; piece++)
                body(piece, piece * size, Math.Min(rows, (piece + 1) * size));
            return;
        }

        Parallel.For(0, pieces, new ParallelOptions { MaxDegreeOfParallelism = threads },
            piece => body(piece, piece * size, Math.Min(rows, (piece + 1) * size)));
    }

    /// <summary>How many pieces <see cref="For"/> makes.</summary>
    public static int PiecesOf(long rows, int rowLength)
    {
        var size = SizeOf(rowLength);
        return (int)((rows + size - 1) / size);
    }

    private static long SizeOf(int rowLength) => Math.Max(1, SmallestShare / Math.Max(1, rowLength));
}
