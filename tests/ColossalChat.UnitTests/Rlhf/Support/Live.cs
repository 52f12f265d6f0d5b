using TorchSharp;

namespace ColossalChat.UnitTests.Rlhf.Support;

/// <summary>Counts tensors that nobody disposed.</summary>
internal static class Live
{
    /// <summary>Tensors alive on this thread after <paramref name="call"/> beyond those before it.</summary>
    public static long GrowthOf(Action call)
    {
        var before = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;
        call();
        return DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount - before;
    }
}
