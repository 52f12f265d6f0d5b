using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

/// <summary>When a fused operation has to remember something for a backward pass.</summary>
internal static class Fused
{
    /// <summary>True when a gradient will be asked for.</summary>
    public static bool Wants(params ReadOnlySpan<Tensor> inputs)
    {
        if (!is_grad_enabled())
            return false;
        foreach (var input in inputs)
            if (input.requires_grad)
                return true;
        return false;
    }
}
