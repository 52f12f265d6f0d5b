using System.Runtime.InteropServices;
using ColossalChat.Contracts;

namespace ColossalChat.Zero;

/// <summary>What is asked of a collective.</summary>
internal enum CollectiveOperation
{
    Barrier,
    AllReduce,
    ReduceScatter,
    AllGather,
    Broadcast,
}

/// <summary>One operation, as every rank must ask for it. 32 bytes, compared byte for byte between ranks.</summary>
/// <param name="Sequence">From 1, counted by each rank.</param>
/// <param name="Elements">Of the whole buffer.</param>
/// <param name="Operation">Which.</param>
/// <param name="Kind">The buffer's.</param>
/// <param name="SliceKind">The slice's; the buffer's where there is none.</param>
/// <param name="Root">Of a broadcast; else 0.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct CollectiveCall(
    long Sequence, long Elements, CollectiveOperation Operation, ElementKind Kind, ElementKind SliceKind, int Root)
{
    public const int Bytes = 32;

    public override string ToString() => Operation switch
    {
        CollectiveOperation.Barrier => $"operation {Sequence} (barrier)",
        CollectiveOperation.Broadcast => $"operation {Sequence} (broadcast of {Elements} {Name(Kind)} from rank {Root})",
        CollectiveOperation.ReduceScatter => $"operation {Sequence} (reduce-scatter of {Elements} {Name(Kind)} into {Name(SliceKind)})",
        CollectiveOperation.AllReduce => $"operation {Sequence} (all-reduce of {Elements} {Name(Kind)})",
        _ => $"operation {Sequence} (all-gather of {Elements} {Name(Kind)})",
    };

    private static string Name(ElementKind kind) => kind switch
    {
        ElementKind.Float32 => "float32",
        ElementKind.BFloat16 => "bfloat16",
        _ => "int64",
    };
}

/// <summary>
/// Why a group broke. The reason travels to all ranks as one sentence; its first words say what kind of failure it is, so
/// that every rank throws the same.
/// </summary>
internal static class Breakage
{
    private const string TimeOut = "Time-out in ";
    private const string Mismatch = "Mismatch in ";

    public static string DidNotCome(CollectiveCall call, RankPlace place, IEnumerable<int> missing, TimeSpan deadline) =>
        $"{TimeOut}{call} of group '{place.Group}': rank(s) {string.Join(", ", missing)} of {place.Ranks} did not come within {deadline} (seen from rank {place.Rank}).";

    public static string Stalled(CollectiveCall call, RankPlace place, string what) =>
        $"{TimeOut}{call} of group '{place.Group}': {what}";

    public static string IsGone(CollectiveCall call, RankPlace place, IEnumerable<int> gone) =>
        $"Rank(s) {string.Join(", ", gone)} of {place.Ranks} of group '{place.Group}' are gone: their process ended or they left before {call} was done.";

    public static string Differs(CollectiveCall own, RankPlace place, int peer, CollectiveCall theirs) =>
        $"{Mismatch}group '{place.Group}': rank {place.Rank} asks for {own}, rank {peer} for {theirs}; all ranks must ask for the same.";

    /// <summary>The exception that says it.</summary>
    public static Exception From(string reason) =>
        reason.StartsWith(TimeOut, StringComparison.Ordinal) ? new TimeoutException(reason)
        : reason.StartsWith(Mismatch, StringComparison.Ordinal) ? new InvalidOperationException(reason)
        : new IOException(reason);
}
