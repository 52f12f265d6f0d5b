using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

/// <summary>
/// Strategy <c>none</c>: one rank holds everything. Each group still becomes one flat chunk with its parameters as views,
/// so the optimiser touches a group in a few operations whatever the number of its parameters.
/// </summary>
public sealed class NoSharding : IShardingStrategy
{
    /// <inheritdoc/>
    public string Name => "none";

    /// <inheritdoc/>
    public IShardedGroup Shard(string group, IReadOnlyList<ParameterSlot> parameters, ICollective collective)
    {
        if (collective.Ranks != 1)
            throw new ArgumentException($"Sharding 'none' works with one rank; there are {collective.Ranks}.", nameof(collective));
        return new WholeGroup(parameters);
    }

    private sealed class WholeGroup : IShardedGroup
    {
        public WholeGroup(IReadOnlyList<ParameterSlot> parameters)
        {
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            OwnShard = cat(parameters.Select(slot => slot.Value.detach().reshape(-1)).ToArray()).DetachFromDisposeScope();
            var offset = 0L;
            foreach (var slot in parameters)
            {
                // A detached view is a leaf of its own that shares the chunk's memory.
                var view = OwnShard.narrow(0, offset, slot.Value.numel()).view(slot.Shape.ToArray()).detach();
                offset += view.numel();
                var old = slot.Value;
                slot.Value = view.requires_grad_().DetachFromDisposeScope();
                old.Dispose();
            }
        }

        public Tensor OwnShard { get; }

        public void Gather()
        {
            // Everything is here always.
        }

        public void Release()
        {
            // Nothing is foreign.
        }

        public Tensor ReduceGradients(Tensor flatGradients) => flatGradients;

        public void Publish()
        {
            // Parameters are views into the shard that was just updated.
        }

        // The slots' views keep the memory alive; the model goes on working without the engine.
        public void Dispose() => OwnShard.Dispose();
    }
}
