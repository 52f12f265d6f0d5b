using static TorchSharp.torch;

namespace ColossalChat.Contracts.Torch;

/// <summary>Turns weights into few bits.</summary>
public interface IQuantizer
{
    /// <summary>Quantises one linear layer and gives the kernel that computes with it.</summary>
    /// <param name="site">The layer; its weight stays unchanged.</param>
    /// <param name="calibration">[samples, in] inputs the layer saw, or null for round-to-nearest.</param>
    ILinearKernel Quantize(ILinearSite site, Tensor? calibration);
}
