using ColossalChat.Numerics.Kernels;
using static TorchSharp.torch;

namespace ColossalChat.Numerics;

/// <summary>The gate of a SwiGLU feed-forward layer, silu(gate) x up, with gradients.</summary>
public sealed class GatedUnit : autograd.SingleTensorFunction<GatedUnit>
{
    /// <inheritdoc/>
    public override string Name => nameof(GatedUnit);

    /// <summary>silu(gate) x up, element by element. The result belongs to the caller's dispose scope.</summary>
    /// <param name="gate">Any shape.</param>
    /// <param name="up">The same shape and type.</param>
    public static Tensor Of(Tensor gate, Tensor up)
    {
        if (!HostRows.CanOpen(gate) || gate.dtype != up.dtype)
        {
            using var activated = nn.functional.silu(gate);
            return activated * up;
        }

        return Fused.Wants(gate, up) ? apply(gate, up) : Forward(gate, up);
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (gate, up) = ((Tensor)vars[0], (Tensor)vars[1]);
        ctx.save_for_backward([gate, up]);
        return Forward(gate, up);
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var (gate, up) = (saved[0].contiguous(), saved[1].contiguous());
        var (toGate, toUp) = (empty_like(gate), empty_like(up));
        GatedUnitKernel.Backward(gate, up, grad_output.contiguous(), toGate, toUp);
        return [toGate.MoveToOuterDisposeScope(), toUp.MoveToOuterDisposeScope()];
    }

    private static Tensor Forward(Tensor gate, Tensor up)
    {
        using var scope = NewDisposeScope();
        var (gates, ups) = (gate.contiguous(), up.contiguous());
        var output = empty_like(gates);
        GatedUnitKernel.Forward(gates, ups, output);
        return output.MoveToOuterDisposeScope();
    }
}
