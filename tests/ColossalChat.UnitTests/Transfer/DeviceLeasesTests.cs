using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

[Trait("Category", "CI")]
public sealed class DeviceLeasesTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Turns_go_out_in_the_order_of_asking()
    {
        var leases = new DeviceLeases();
        var order = new List<int>();
        var first = leases.Take("cpu", CancellationToken.None);
        var threads = new List<Task>();
        for (var i = 0; i < 5; i++)
        {
            var number = i;
            threads.Add(OnThread(() =>
            {
                using var turn = leases.Take("cpu", CancellationToken.None);
                order.Add(number);
            }));
            Assert.True(SpinWait.SpinUntil(() => leases.WaitingFor("cpu") == number + 1, Limit));
        }

        first.Dispose();
        await Task.WhenAll(threads).WaitAsync(Limit);

        Assert.Equal([0, 1, 2, 3, 4], order);
        Assert.Equal(0, leases.WaitingFor("cpu"));
    }

    [Fact]
    public async Task A_party_holds_a_device_together_while_strangers_wait()
    {
        var leases = new DeviceLeases();
        var first = leases.Take("cpu", "policy", CancellationToken.None);
        var stranger = OnThread(() => leases.Take("cpu", "critic", CancellationToken.None).Dispose());
        Assert.True(SpinWait.SpinUntil(() => leases.WaitingFor("cpu") == 1, Limit));

        // Past the stranger: the first one may be waiting for it.
        var second = leases.Take("cpu", "policy", CancellationToken.None);
        first.Dispose();
        Assert.False(stranger.IsCompleted);
        second.Dispose();
        await stranger.WaitAsync(Limit);
    }

    [Fact]
    public async Task The_members_of_a_party_that_wait_come_in_together()
    {
        var leases = new DeviceLeases();
        var held = leases.Take("cpu", CancellationToken.None);
        using var meeting = new Barrier(3);
        var members = Enumerable.Range(0, 3).Select(_ => OnThread(() =>
        {
            using var turn = leases.Take("cpu", "policy", CancellationToken.None);
            Assert.True(meeting.SignalAndWait(Limit));
        })).ToArray();
        Assert.True(SpinWait.SpinUntil(() => leases.WaitingFor("cpu") == 3, Limit));
        held.Dispose();
        await Task.WhenAll(members).WaitAsync(Limit);
        leases.Take("cpu", CancellationToken.None).Dispose();
    }

    [Fact]
    public async Task Never_do_two_hold_a_device_and_none_is_lost_When_many_ask_and_some_give_up()
    {
        var leases = new DeviceLeases();
        var (holders, most, taken) = (0, 0, 0);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => OnThread(() =>
        {
            for (var round = 0; round < 200; round++)
            {
                using var cancel = new CancellationTokenSource();
                if ((worker + round) % 3 == 0)
                    cancel.CancelAfter(TimeSpan.FromTicks(round * 7));
                try
                {
                    using var turn = leases.Take("cpu", cancel.Token);
                    most = Math.Max(most, Interlocked.Increment(ref holders));
                    Thread.SpinWait(200);
                    Interlocked.Decrement(ref holders);
                    Interlocked.Increment(ref taken);
                }
                catch (OperationCanceledException error)
                {
                    Assert.Equal(cancel.Token, error.CancellationToken);
                }
            }
        }))).WaitAsync(Limit);

        Assert.Equal(1, most);
        Assert.True(taken > 1000);
        leases.Take("cpu", new CancellationTokenSource(Limit).Token).Dispose();
    }

    [Fact]
    public async Task A_waiter_that_gives_up_leaves_the_line()
    {
        var leases = new DeviceLeases();
        using var held = leases.Take("cpu", CancellationToken.None);
        using var cancel = new CancellationTokenSource();
        var waiting = OnThread(() => leases.Take("cpu", cancel.Token));
        Assert.True(SpinWait.SpinUntil(() => leases.WaitingFor("cpu") == 1, Limit));

        await cancel.CancelAsync();

        await Assert.ThrowsAsync<OperationCanceledException>(() => waiting.WaitAsync(Limit));
        Assert.Equal(0, leases.WaitingFor("cpu"));
        Assert.Throws<OperationCanceledException>(() => leases.Take("cuda:0", cancel.Token));
    }

    [Fact]
    public void Devices_do_not_wait_for_one_another_and_a_turn_ends_once()
    {
        var leases = new DeviceLeases();
        using var cpu = leases.Take("cpu", CancellationToken.None);
        var cuda = leases.Take("cuda:0", CancellationToken.None);
        cuda.Dispose();
        using var again = leases.Take("cuda:0", CancellationToken.None);
        cuda.Dispose();
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));

        Assert.Throws<OperationCanceledException>(() => leases.Take("cuda:0", limit.Token));
    }

    internal static Task OnThread(Action action) => Task.Factory.StartNew(
        action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
