using static TorchSharp.torch;

namespace ColossalChat.Contracts.Torch;

/// <summary>A family of decoders, such as <c>llama</c>, known by <c>model_type</c> in config.json.</summary>
public interface IModelFamily
{
    /// <summary>As in config.json.</summary>
    string ModelType { get; }

    /// <summary>Builds the model; its weights are drawn from <paramref name="initialise"/>, or left to a loader when null.</summary>
    /// <param name="configJson">Content of config.json, in Hugging Face's field names; it has this <see cref="ModelType"/>.</param>
    /// <param name="precision">Element type of weights and activations: float32, bfloat16 or float16.</param>
    /// <param name="device">Where it computes and where its weights are made.</param>
    /// <param name="initialise">Key of the first weights; equal keys give equal weights. Null leaves them without meaning until a loader fills every slot.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="UserErrorException">
    /// A field is missing, out of range or asks for something this family does not compute; the message names the field,
    /// its value and what is allowed.
    /// </exception>
    ICausalModel Create(string configJson, ScalarType precision, Device device, RandomKey? initialise);
}
