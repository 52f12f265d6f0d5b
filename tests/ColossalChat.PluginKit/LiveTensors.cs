using TorchSharp;
using Xunit;

namespace ColossalChat.PluginKit;

/// <summary>Counts the tensors of this thread, so that tests running beside it do not disturb.</summary>
public static class LiveTensors
{
    /// <summary>Tensors made on this thread and not disposed.</summary>
    public static long Count => DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;

    /// <summary>Tensors alive after a call beyond those before it.</summary>
    public static long GrowthOf(Action call)
    {
        var before = Count;
        call();
        return Count - before;
    }

    /// <summary>
    /// Fails when repeating a call leaves tensors behind. The first call is not counted: it may fill caches.
    /// </summary>
    /// <param name="call">One call of a role, with its result disposed.</param>
    /// <param name="times">Counted repetitions.</param>
    public static void StayConstant(Action call, int times = 4)
    {
        call();
        var left = GrowthOf(() =>
        {
            for (var i = 0; i < times; i++)
                call();
        });
        Assert.True(left == 0, $"{times} calls left {left} tensors alive. Open a dispose scope in the call and move only its result out.");
    }
}
