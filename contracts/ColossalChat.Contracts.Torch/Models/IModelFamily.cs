using static TorchSharp.torch;

namespace ColossalChat.Contracts.Torch;

/// <summary>A family of decoders, such as <c>llama</c>, known by <c>model_type</c> in config.json.</summary>
public interface IModelFamily
{
    /// <summary>As in config.json.</summary>
    string ModelType { get; }

    /// <summary>Builds the model; its weights are drawn from <paramref name="initialise"/>, or left to a loader when null.</summary>
    /// <param name="configJson">Content of config.json.</param>
    /// <param name="precision">Element type of weights.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="initialise">Key of the first weights.</param>
    ICausalModel Create(string configJson, ScalarType precision, Device device, RandomKey? initialise);
}
