using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Engine;

/// <summary>Makes engines with one set of options.</summary>
/// <param name="options">Settings of every engine made.</param>
public sealed class TrainingEngineFactory(EngineOptions options) : ITrainingEngineFactory
{
    /// <inheritdoc/>
    public ITrainingEngine Create(TrainingTarget target, INodeContext context) =>
        new TrainingEngine(target, options, context.Create(options.Sharding), new SingleRank());
}
