using ColossalChat.Numerics.Kernels;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Numerics;

[Trait("Category", "CI")]
public sealed class RowLoopTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData(1, 10)]
    [InlineData(7, 1 << 14)]
    [InlineData(1000, 700)]
    [InlineData(3, 1 << 20)]
    public void Every_row_is_visited_once(long rows, int rowLength)
    {
        var visits = new int[rows];
        RowLoop.For(rows, rowLength, 5, (_, first, end, scratch) =>
        {
            Assert.Equal(5, scratch.Length);
            for (var row = first; row < end; row++)
                Interlocked.Increment(ref visits[row]);
        });
        Assert.All(visits, visit => Assert.Equal(1, visit));
    }

    [Fact]
    public void What_a_piece_throws_is_thrown_and_the_threads_serve_on()
    {
        for (var i = 0; i < 3; i++)
        {
            Assert.Throws<InvalidDataException>(() => RowLoop.For(64, 1 << 15, 0, (piece, _, _, _) =>
            {
                if (piece >= 32)
                    throw new InvalidDataException("piece");
            }));
        }
    }

    [Fact]
    public void The_largest_is_not_forgotten_behind_what_is_not_a_number()
    {
        var values = Enumerable.Repeat(1f, 64).ToArray();
        (values[3], values[35]) = (5, float.NaN);

        Assert.True(Lanes.Largest(values) is 5 or float.NaN);
    }

    [Fact]
    public void Rows_within_rows_are_all_visited()
    {
        var visits = 0;
        RowLoop.For(8, 1 << 15, 0, (_, outer, outerEnd, _) =>
        {
            for (var row = outer; row < outerEnd; row++)
                RowLoop.For(4, 1 << 15, 0, (_, first, end, _) => Interlocked.Add(ref visits, (int)(end - first)));
        });
        Assert.Equal(32, visits);
    }

    [Fact]
    public void Work_runs_at_once_on_the_caller_and_on_a_thread_of_libtorch()
    {
        if (!OperatingSystem.IsLinux())
            return; // There libtorch has other threads.
        using var sum = ones(1 << 20).sum(); // Its library is loaded.
        using var meeting = new Barrier(2);
        var (caller, others) = (Environment.CurrentManagedThreadId, 0);
        TorchThreads.Run(2, () =>
        {
            Assert.True(meeting.SignalAndWait(s_patience), "The two did not run at the same time.");
            if (Environment.CurrentManagedThreadId != caller && !Thread.CurrentThread.IsThreadPoolThread)
                Interlocked.Increment(ref others);
        });
        Assert.Equal(1, others);
    }
}
