using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Transfer;

namespace ColossalChat.Host.Ranks;

/// <summary>Makes the ranks of all trained models: here, or in processes of their own.</summary>
internal sealed class TrainerRanks : IDisposable
{
    private readonly RankLayout _layout;
    private readonly RunBinding _binding;
    private readonly NodeContext _node;
    private readonly Func<NodeContext> _newNode;
    private readonly RankProcesses? _processes;
    private readonly TlsIdentity? _identity;
    private PeerLinks _peers;

    private TrainerRanks(RunBinding binding, TrainerSettings trainer, NodeContext node, Func<NodeContext> newNode, RankProcesses? processes, TlsIdentity? identity = null)
    {
        (_layout, _binding, _node, _newNode, _processes, _identity) = (new RankLayout(trainer), binding, node, newNode, processes, identity);
        _peers = processes is null ? node.Peers : PeerAddress.Open(processes.Address);
    }

    /// <summary>The ranks of a run.</summary>
    /// <param name="binding">The run.</param>
    /// <param name="node">The node of rank 0.</param>
    /// <param name="host">Whose plugins and flags child processes get.</param>
    /// <param name="runFolder">Folder of the run.</param>
    /// <param name="log">Takes what child processes say.</param>
    public static TrainerRanks Of(RunBinding binding, NodeContext node, HostServices host, string runFolder, INodeLog log) => new(
        binding,
        binding.Current.Settings.Trainer,
        node,
        () => new NodeContext(NodeSetup.Of(binding, runFolder, log) with { Devices = host.Devices }),
        binding.Current.Settings.Trainer.Processes == 0 ? null : new RankProcesses(binding, host, runFolder, log));

    /// <summary>The ranks that a node of a cluster may get, all in its process.</summary>
    /// <param name="binding">The run.</param>
    /// <param name="node">The node of rank 0.</param>
    /// <param name="newNode">Makes a node for another rank.</param>
    /// <param name="identity">For mutual TLS with ranks of other machines; null for none. The caller disposes it afterwards.</param>
    public static TrainerRanks OfNode(RunBinding binding, NodeContext node, Func<NodeContext> newNode, TlsIdentity? identity) =>
        new(binding, binding.Current.Settings.Trainer, node, newNode, null, identity);

    /// <summary>From now on ranks meet there.</summary>
    /// <param name="address">See <see cref="PeerAddress"/>.</param>
    public void MeetAt(string address) => _peers = PeerAddress.Open(address, _identity);

    /// <summary>Ranks of a run that is only looked at: rank 0 alone.</summary>
    public static TrainerRanks OfDryRun(RunBinding binding, NodeContext node) =>
        new(binding, new TrainerSettings(), node, () => node, null);

    /// <summary>Makers by model and rank.</summary>
    public IReadOnlyDictionary<TrainerId, Func<long, CancellationToken, ITrainerRole>> Makers(IReadOnlyList<string> models) => models
        .SelectMany(model => _layout.Ranks, (model, rank) => new TrainerId(model, rank))
        .ToDictionary(trainer => trainer, trainer => (Func<long, CancellationToken, ITrainerRole>)((attempt, cancel) => Make(trainer, attempt, cancel)));

    /// <inheritdoc/>
    public void Dispose() => _processes?.Dispose();

    private ITrainerRole Make(TrainerId trainer, long attempt, CancellationToken cancel)
    {
        if (trainer.Rank == 0)
            return _layout.Make(_node, _binding.Current.Settings, trainer.Model, 0, attempt, _peers.Until(cancel));
        if (_processes is not null)
            return _processes.Connect(trainer.Model, trainer.Rank, attempt, cancel);
        var node = _newNode();
        try
        {
            return new OwnedTrainer(_layout.Make(node, _binding.Current.Settings, trainer.Model, trainer.Rank, attempt, _peers.Until(cancel)), node);
        }
        catch
        {
            node.Dispose();
            throw;
        }
    }

    // A rank above 0 has a node of its own, because it has models of its own.
    private sealed class OwnedTrainer(ITrainerRole role, NodeContext node) : ITrainerRole
    {
        public string Model => role.Model;

        public int Begin(TrainRequest request) => role.Begin(request);

        public bool Compute(int step, CancellationToken cancel) => role.Compute(step, cancel);

        public void Finish(int step, bool apply) => role.Finish(step, apply);

        public IReadOnlyDictionary<string, double> End() => role.End();

        public IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel) => role.Evaluate(heldOut, cancel);

        public WeightsPublication Publish(long epoch, long version, CancellationToken cancel) => role.Publish(epoch, version, cancel);

        public void Export(string folder) => role.Export(folder);

        public void Capture(IStateWriter writer) => role.Capture(writer);

        public void Restore(IStateReader reader) => role.Restore(reader);

        public void Dispose()
        {
            role.Dispose();
            node.Dispose();
        }
    }
}
