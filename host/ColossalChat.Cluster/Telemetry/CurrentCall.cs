using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>The role call that the calling thread carries out: a log line that a role writes is about its batch.</summary>
public static class CurrentCall
{
    [ThreadStatic]
    private static (string Role, BatchId Batch)? t_call;

    /// <summary>Role slot and batch; null on a thread that carries out no role call.</summary>
    public static (string Role, BatchId Batch)? Value => t_call;

    internal static void Begin(string role, BatchId batch) => t_call = (role, batch);

    internal static void End() => t_call = null;
}
