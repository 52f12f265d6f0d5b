using ColossalChat.Engine;
using Xunit;

namespace ColossalChat.UnitTests.Engine;

[Trait("Category", "CI")]
public sealed class CommunicationLaneTests
{
    [Fact]
    public async Task Work_does_not_pile_up_before_a_slow_lane_and_the_wait_counts_as_exposed()
    {
        const int works = 100;
        using var lane = new CommunicationLane("test", ranks: 2);
        var (posted, done, most) = (0, 0, 0);
        var posting = Task.Factory.StartNew(() =>
        {
            var last = Task.CompletedTask;
            for (var i = 0; i < works; i++)
            {
                last = lane.Post(() =>
                {
                    // Time enough for all the rest, if nothing held it back.
                    SpinWait.SpinUntil(() => Volatile.Read(ref posted) >= works, TimeSpan.FromMilliseconds(10));
                    most = Math.Max(most, Volatile.Read(ref posted) - done++);
                });
                Interlocked.Increment(ref posted);
            }

            lane.Wait(last);
        }, TaskCreationOptions.LongRunning);
        await posting.WaitAsync(TimeSpan.FromSeconds(60));

        Assert.Equal(works, done);
        Assert.InRange(most, 2, 6);
        Assert.True(lane.Exposed > TimeSpan.FromMilliseconds(100), $"{lane.Exposed}");
    }
}
