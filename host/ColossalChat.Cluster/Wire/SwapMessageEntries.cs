using static ColossalChat.Cluster.FlowMessages;
using static ColossalChat.Cluster.FlowParts;

namespace ColossalChat.Cluster;

/// <summary>Messages of a plugin's exchange on several nodes; see <see cref="FlowMessages"/>.</summary>
internal static class SwapMessageEntries
{
    public static IReadOnlyList<WireMessage> All { get; } =
    [
        // ---- Asked of nodes ----
        Of<PrepareSwap>(
            "sp1",
            (to, message) =>
            {
                Write(to, message.Request);
                to.Int32(message.Step);
            },
            from => new(ReadSwapRequest(from), from.Int32("Step"))),
        Of<SwapPrepared>(
            "pp1",
            (to, message) =>
            {
                to.Text(message.Id);
                to.Int32(message.Step);
                to.Name(message.Node);
                to.Optional(message.Offer, Write);
                to.Text(message.Refusal);
            },
            from => new(from.Text("Id"), from.Int32("Step"), from.Name("Node"), from.Optional("Offer", ReadSwapOffer), from.Text("Refusal"))),
        Of<FindUsers>(
            "fu1",
            (to, message) =>
            {
                to.Text(message.Id);
                to.Int32(message.Step);
            },
            from => new(from.Text("Id"), from.Int32("Step"))),
        Of<UsersFound>(
            "uf1",
            (to, message) =>
            {
                to.Int32(message.Step);
                to.Name(message.Node);
                to.List(message.Slots, static (to, slot) => to.Name(slot));
                to.Text(message.Error);
            },
            from => new(from.Int32("Step"), from.Name("Node"), from.List("Slots", 1, static from => from.Name("Slots")), from.Text("Error"))),
        Of<SwitchPlugin>(
            "wp1",
            (to, message) =>
            {
                to.Text(message.Id);
                to.Int32(message.Step);
                to.Bool(message.IsBack);
            },
            from => new(from.Text("Id"), from.Int32("Step"), from.Bool("IsBack"))),
        Of<PluginSwitched>(
            "ps1",
            (to, message) =>
            {
                to.Int32(message.Step);
                to.Name(message.Node);
                to.Text(message.Error);
            },
            from => new(from.Int32("Step"), from.Name("Node"), from.Text("Error"))),
        Of<CommitSwap>(
            "cm1",
            (to, message) =>
            {
                to.Text(message.Id);
                to.Int32(message.Step);
            },
            from => new(from.Text("Id"), from.Int32("Step"))),
        Of<SwapCommitted>(
            "cd1",
            (to, message) =>
            {
                to.Int32(message.Step);
                to.Name(message.Node);
                to.Text(message.Advice);
            },
            from => new(from.Int32("Step"), from.Name("Node"), from.Text("Advice"))),
        Of<ExchangeNoted>(
            "en1",
            (to, message) =>
            {
                to.Name(message.Kind);
                to.Text(message.Message);
            },
            from => new(from.Name("Kind"), from.Text("Message"))),

        // ---- Asked of roles ----
        Of<CloseRole>("cr1", (to, message) => to.Int32(message.Step), from => new(from.Int32("Step"))),
        Of<RoleClosed>(
            "rc1",
            (to, message) =>
            {
                to.Int32(message.Step);
                to.Name(message.Role);
                to.Bool(message.IsLost);
            },
            from => new(from.Int32("Step"), from.Name("Role"), from.Bool("IsLost"))),
        Of<OpenSavedRole>(
            "or1",
            (to, message) =>
            {
                to.Int32(message.Step);
                to.Int64(message.Formation);
                to.Int64(message.Iteration);
                to.Text(message.Checkpoint);
                to.Bool(message.IsTrial);
            },
            from => new(from.Int32("Step"), from.Int64("Formation"), from.Int64("Iteration"), from.Text("Checkpoint"), from.Bool("IsTrial"))),
        Of<VerifyRole>("vr1", (to, message) => to.Int32(message.Step), from => new(from.Int32("Step"))),
        Of<RoleReady>(
            "ry1",
            (to, message) =>
            {
                to.Int32(message.Step);
                to.Name(message.Role);
            },
            from => new(from.Int32("Step"), from.Name("Role"))),
        Of<RoleRefused>(
            "rq1",
            (to, message) =>
            {
                to.Int32(message.Step);
                to.Name(message.Role);
                to.Text(message.Reason);
            },
            from => new(from.Int32("Step"), from.Name("Role"), from.Text("Reason"))),
    ];

    private static void Write(WireWriter to, SwapRequest request)
    {
        to.Text(request.Id);
        to.Name(request.Plugin);
        to.Text(request.Folder);
        to.Bool(request.IsWatched);
        to.Optional(request.Copy, FlowParts.Write);
    }

    private static SwapRequest ReadSwapRequest(WireReader from) => new(from.Text("Id"), from.Name("Plugin"), from.Text("Folder"))
    {
        IsWatched = from.Bool("IsWatched"),
        Copy = from.Optional("Copy", ReadPluginCopy),
    };

    private static void Write(WireWriter to, SwapOffer offer)
    {
        to.Text(offer.Id);
        to.Name(offer.Plugin);
        to.Text(offer.Old);
        to.Text(offer.New);
        to.Text(offer.Sha256);
    }

    private static SwapOffer ReadSwapOffer(WireReader from) =>
        new(from.Text("Id"), from.Name("Plugin"), from.Text("Old"), from.Text("New"), from.Text("Sha256"));
}
