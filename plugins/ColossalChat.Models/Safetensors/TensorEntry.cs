using static TorchSharp.torch;

namespace ColossalChat.Models.Safetensors;

/// <summary>One tensor of a safetensors file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Start">First byte within the file.</param>
/// <param name="Bytes">Its size in bytes.</param>
internal sealed record TensorEntry(string Name, ScalarType Type, long[] Shape, long Start, long Bytes);
