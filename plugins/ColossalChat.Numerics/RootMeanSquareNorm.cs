using ColossalChat.Numerics.Kernels;
using static TorchSharp.torch;

namespace ColossalChat.Numerics;

/// <summary>Root-mean-square norm with a gradient: y = x w / sqrt(mean(x^2) + epsilon), in float32 whatever the types are.</summary>
public sealed class RootMeanSquareNorm : autograd.SingleTensorFunction<RootMeanSquareNorm>
{
    /// <inheritdoc/>
    public override string Name => nameof(RootMeanSquareNorm);

    /// <summary>Normalises rows. The result belongs to the caller's dispose scope.</summary>
    /// <param name="input">[.., H].</param>
    /// <param name="weight">[H], of the input's type.</param>
    /// <param name="epsilon">Above 0.</param>
    public static Tensor Of(Tensor input, Tensor weight, double epsilon)
    {
        if (!HostRows.CanOpen(input) || input.dtype != weight.dtype)
            return Composed(input, weight, epsilon);
        return Fused.Wants(input, weight) ? apply(input, weight, epsilon) : Forward(input, weight, epsilon);
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (input, weight, epsilon) = ((Tensor)vars[0], (Tensor)vars[1], (double)vars[2]);
        ctx.save_for_backward([input, weight]);
        ctx.save_data("epsilon", epsilon);
        return Forward(input, weight, epsilon);
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var (input, weight) = (saved[0].contiguous(), saved[1].contiguous());
        var gradInput = empty_like(input);
        var gradWeight = saved[1].requires_grad ? empty(weight.shape, float32) : null;
        RootMeanSquareKernel.Backward(input, weight, (double)ctx.get_data("epsilon"), grad_output.contiguous(), gradInput, gradWeight);
        return [gradInput.MoveToOuterDisposeScope(), gradWeight?.to(weight.dtype).MoveToOuterDisposeScope()!, null!];
    }

    private static Tensor Forward(Tensor input, Tensor weight, double epsilon)
    {
        using var scope = NewDisposeScope();
        var (ready, weights) = (input.contiguous(), weight.contiguous());
        var output = empty_like(ready);
        RootMeanSquareKernel.Forward(ready, weights, epsilon, output);
        return output.MoveToOuterDisposeScope();
    }

    private static Tensor Composed(Tensor input, Tensor weight, double epsilon)
    {
        using var scope = NewDisposeScope();
        var wide = input.to(float32);
        var scale = (wide * wide).mean([-1], keepdim: true).add(epsilon).rsqrt();
        return ((wide * scale).to(input.dtype) * weight).MoveToOuterDisposeScope();
    }
}
