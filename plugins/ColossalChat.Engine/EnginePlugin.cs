using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Engine;

/// <summary>Offers the training engine and the TensorBoard sink.</summary>
public sealed class EnginePlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        registry.Add<ITrainingEngineFactory, EngineOptions>("engine", (options, _) => new TrainingEngineFactory(options));
        registry.Add<IMetricSinkFactory, NoOptions>("tensorboard", (_, _) => new TensorBoardSinkFactory());
    }
}
