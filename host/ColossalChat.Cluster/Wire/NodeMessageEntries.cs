using ColossalChat.Contracts;
using static ColossalChat.Cluster.DataCodec;
using static ColossalChat.Cluster.FlowMessages;
using static ColossalChat.Cluster.FlowParts;

namespace ColossalChat.Cluster;

/// <summary>Messages between the coordinator and the nodes of a run; see <see cref="FlowMessages"/>.</summary>
internal static class NodeMessageEntries
{
    public static IReadOnlyList<WireMessage> All { get; } =
    [
        Of<DescribeNode>("dn1", (_, _) => { }, _ => new()),
        Of<NodeDescribed>(
            "nd1",
            (to, message) =>
            {
                Write(to, message.Card);
                to.Numbers(message.Hosted);
                to.Int32(message.Uid);
            },
            from => new(ReadNodeCard(from), from.Numbers("Hosted"), from.Int32("Uid"))),
        Of<HostRole>(
            "hr2",
            (to, message) =>
            {
                to.Int64(message.Epoch);
                to.Name(message.Slot);
                to.Text(message.Checkpoint);
                to.Text(message.Meet);
                to.Ref(message.Run);
                to.Ref(message.Iteration);
                to.List(message.Plugins, Write);
            },
            from => new(
                from.Int64("Epoch"), from.Name("Slot"), from.Text("Checkpoint"), from.Text("Meet"), from.Ref("Run"), from.Ref("Iteration"),
                from.List("Plugins", LeastPluginCopy, ReadPluginCopy))),
        Of<EndRole>(
            "er1",
            (to, message) =>
            {
                to.Int64(message.Epoch);
                to.Name(message.Slot);
            },
            from => new(from.Int64("Epoch"), from.Name("Slot"))),
        Of<EndEpoch>("ee1", (to, message) => to.Int64(message.Epoch), from => new(from.Int64("Epoch"))),
        Of<NodeLeaving>("nl1", (to, message) => to.Name(message.Node), from => new(from.Name("Node"))),
        Of<LeaveNow>("ln1", (_, _) => { }, _ => new()),
        Of<RunOver>(
            "ov1",
            (to, message) =>
            {
                to.Enum(message.ExitCode);
                to.Text(message.Message);
            },
            from => new(from.Enum<ExitCode>("ExitCode"), from.Text("Message"))),
        Of<CaptureShard>(
            "cs1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                to.Int64(message.Number);
            },
            from => new(from.Int64("Iteration"), from.Int64("Number"))),
        Of<ShardCaptured>(
            "sd1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                to.Int64(message.Number);
                to.Name(message.Slot);
                to.List(message.Tensors, DataCodec.Write);
                to.List(message.Documents, static (to, document) =>
                {
                    to.Name(document.Key);
                    to.Text(document.Value);
                });
                to.Ref(message.Keeper);
            },
            from => new(
                from.Int64("Iteration"), from.Int64("Number"), from.Name("Slot"), from.List("Tensors", 4, ReadKeptTensor),
                from.Map("Documents", 2, static from => from.Name("Documents"), static from => from.Text("Documents")), from.Ref("Keeper"))),
        Of<WriteShard>(
            "ws1",
            (to, message) =>
            {
                to.Int64(message.Number);
                to.Text(message.DataFile);
                to.Text(message.IndexFile);
                to.Name(message.IndexHash);
            },
            from => new(from.Int64("Number"), from.Text("DataFile"), from.Text("IndexFile"), from.Name("IndexHash"))),
        Of<ShardWritten>(
            "sw1",
            (to, message) =>
            {
                to.Int64(message.Number);
                Write(to, message.File);
            },
            from => new(from.Int64("Number"), ReadWrittenFile(from))),
        Of<ShardNotWritten>(
            "sn1",
            (to, message) =>
            {
                to.Int64(message.Number);
                to.Text(message.Reason);
            },
            from => new(from.Int64("Number"), from.Text("Reason"))),
    ];
}
