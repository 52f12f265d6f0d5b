using ColossalChat.Numerics.Kernels;
using static TorchSharp.torch;

namespace ColossalChat.Numerics;

// B = rows, T = tokens, D = head size.

/// <summary>Rotary position embedding with a gradient.</summary>
public sealed class RotaryEmbedding : autograd.SingleTensorFunction<RotaryEmbedding>
{
    /// <inheritdoc/>
    public override string Name => nameof(RotaryEmbedding);

    /// <summary>Turns heads by their positions' angles. The result belongs to the caller's dispose scope.</summary>
    /// <param name="heads">[B, T, heads, D].</param>
    /// <param name="cos">[T, 1, D], or [B, T, 1, D]; the second half of D repeats the first.</param>
    /// <param name="sin">The same shape; the second half of D is the first with its sign turned.</param>
    public static Tensor Of(Tensor heads, Tensor cos, Tensor sin)
    {
        if (!HostRows.CanOpen(heads) || cos.dtype != heads.dtype)
            return (heads * cos).addcmul(heads.roll(heads.shape[^1] / 2, -1), sin, 1);
        return Fused.Wants(heads) ? apply(heads, cos, sin) : Turn(heads, cos, sin, isBack: false);
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (heads, cos, sin) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        ctx.save_for_backward([cos, sin]);
        return Turn(heads, cos, sin, isBack: false);
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        return [Turn(grad_output, saved[0], saved[1], isBack: true).MoveToOuterDisposeScope(), null!, null!];
    }

    private static Tensor Turn(Tensor heads, Tensor cos, Tensor sin, bool isBack)
    {
        using var scope = NewDisposeScope();
        var ready = heads.contiguous();
        var output = empty_like(ready);
        RotaryKernel.Turn(ready, cos.contiguous(), sin.contiguous(), isBack, output);
        return output.MoveToOuterDisposeScope();
    }
}
