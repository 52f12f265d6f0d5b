using System.Buffers;
using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

/// <summary>Work on some rows.</summary>
/// <param name="piece">Number of the piece, from 0.</param>
/// <param name="first">First row.</param>
/// <param name="end">Row after the last.</param>
/// <param name="scratch">Memory of this call alone, as long as was asked for; what is in it is anyone's guess.</param>
public delegate void RowBody(int piece, long first, long end, Span<float> scratch);

/// <summary>Work on one run of elements.</summary>
/// <param name="row">Number of the run, from 0.</param>
/// <param name="scratch">Memory of this call alone; what is in it is anyone's guess.</param>
public delegate void RunBody(long row, Span<float> scratch);

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
    /// <param name="scratchLength">Elements of scratch memory that a call needs.</param>
    /// <param name="body">Called from several threads.</param>
    public static void For(long rows, int rowLength, int scratchLength, RowBody body)
    {
        var size = SizeOf(rowLength);
        var pieces = PiecesOf(rows, rowLength);
        var threads = pieces > 1 ? get_num_threads() : 1;
        var next = -1;
        if (threads == 1)
            RunAll();
        else
            TorchThreads.Run(threads, RunAll);

        void RunAll()
        {
            while (Interlocked.Increment(ref next) is var piece && piece < pieces)
                Run(piece);
        }

        void Run(int piece)
        {
            // Clearing new memory, and collecting it, would cost as much as the work on a short piece.
            var scratch = scratchLength == 0 ? [] : ArrayPool<float>.Shared.Rent(scratchLength);
            body(piece, piece * size, Math.Min(rows, (piece + 1) * size), scratch.AsSpan(0, scratchLength));
            if (scratchLength > 0)
                ArrayPool<float>.Shared.Return(scratch);
        }
    }

    /// <summary>Work on elements that only meet their equals: cut into runs of one length, and what is left.</summary>
    /// <param name="elements">Elements in all.</param>
    /// <param name="runLength">Elements of a run; some runs at once should fit the first cache.</param>
    /// <param name="scratchLength">Elements of scratch memory that a call needs.</param>
    /// <param name="open">Opens tensors from an element on as rows of a length, and gives the work on one row.</param>
    public static void ForRuns(long elements, int runLength, int scratchLength, Func<long, int, RunBody> open)
    {
        var whole = elements / runLength;
        if (whole > 0)
        {
            var body = open(0, runLength);
            For(whole, runLength, scratchLength, (_, first, end, scratch) =>
            {
                for (var row = first; row < end; row++)
                    body(row, scratch);
            });
        }

        if (elements - (whole * runLength) is var rest and > 0)
        {
            var last = open(whole * runLength, (int)rest);
            For(1, (int)rest, scratchLength, (_, _, _, scratch) => last(0, scratch));
        }
    }

    /// <summary>How many pieces <see cref="For"/> makes.</summary>
    public static int PiecesOf(long rows, int rowLength)
    {
        var size = SizeOf(rowLength);
        return (int)((rows + size - 1) / size);
    }

    private static long SizeOf(int rowLength) => Math.Max(1, SmallestShare / Math.Max(1, rowLength));
}
