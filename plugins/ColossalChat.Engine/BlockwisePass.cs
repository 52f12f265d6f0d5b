using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

// B = sequences, T = tokens of the longest, H = hidden size, N = head positions.

/// <summary>
/// Drives a decoder part by part. Every block has a graph of its own on an input that is cut off from the block before, so
/// that its gradients are complete, and its chunk can be reduced, while earlier blocks still compute. A block's graph is
/// kept from forward to backward, or dropped and built again.
/// </summary>
/// <param name="target">What is trained.</param>
/// <param name="parts">Its chunks.</param>
/// <param name="recomputeEvery">Every so manieth block is computed again in backward; 0 none, 1 all.</param>
internal sealed class BlockwisePass(TrainingTarget target, ChunkedParts parts, int recomputeEvery)
{
    private int Head => parts.Count - 1;

    /// <summary>Forward and backward of one micro-batch.</summary>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="loss">Maps head output to the scalar that is differentiated; it does not require gradients where nothing is to be learned.</param>
    /// <param name="isLast">True on the window's last micro-batch.</param>
    public void Train(MicroBatch batch, Func<Tensor, Tensor> loss, bool isLast)
    {
        using var scope = NewDisposeScope();
        var steps = new Step[Head];
        for (var part = 0; part < Head; part++)
            steps[part] = Forward(part, part == 0 ? null : steps[part - 1].Output, batch);

        parts.Gather(Head, next: Head - 1);
        var input = Cut(steps[Head - 1].Output, Head);
        using (var headScope = NewDisposeScope())
        {
            var value = loss(Read(input, batch));
            if (value.requires_grad)
                value.backward();
        }

        parts.Collect(Head, isLast);
        parts.Release(Head);
        var gradient = input.grad;
        for (var part = Head - 1; part >= 0; part--)
            gradient = Backward(part, steps[part], batch, gradient, isLast);
    }

    /// <summary>Goes through the chunks as <see cref="Train"/> does, for a micro-batch that other ranks have and this one has not.</summary>
    /// <param name="isLast">True on the window's last micro-batch.</param>
    public void Walk(bool isLast)
    {
        for (var part = 0; part < Head; part++)
        {
            parts.Gather(part, part + 1);
            if (Recomputes(part))
                parts.Release(part);
        }

        parts.Gather(Head, next: Head - 1);
        parts.Reduce(Head, isLast);
        parts.Release(Head);
        for (var part = Head - 1; part >= 0; part--)
        {
            if (Recomputes(part))
                parts.Gather(part, part - 1);
            parts.Reduce(part, isLast);
            parts.Release(part);
        }
    }

    /// <summary>Forward without gradients.</summary>
    /// <param name="batch">The micro-batch, or null to go through the chunks only.</param>
    /// <returns>Head output in the caller's dispose scope; null without a micro-batch.</returns>
    public Tensor? Evaluate(MicroBatch? batch)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor? hidden = null;
        for (var part = 0; part <= Head; part++)
        {
            parts.Gather(part, part + 1);
            if (batch is not null)
            {
                using var partScope = NewDisposeScope();
                var next = part == Head ? Read(hidden!, batch) : Compute(part, hidden, batch);
                hidden?.Dispose();
                hidden = next.MoveToOuterDisposeScope();
            }

            parts.Release(part);
        }

        return hidden?.MoveToOuterDisposeScope();
    }

    private bool Recomputes(int part) => part > 0 && recomputeEvery > 0 && (part - 1) % recomputeEvery == 0;

    private Step Forward(int part, Tensor? before, MicroBatch batch)
    {
        parts.Gather(part, part + 1);
        var input = before is null ? null : Cut(before, part);
        if (!Recomputes(part))
        {
            using var withGradients = enable_grad();
            return new Step(input, Compute(part, input, batch));
        }

        using var noGrad = no_grad();
        var output = Compute(part, input, batch);
        parts.Release(part);
        return new Step(input, output);
    }

    private Tensor? Backward(int part, Step step, MicroBatch batch, Tensor? gradient, bool isLast)
    {
        if (Recomputes(part))
            parts.Gather(part, part - 1);
        if (gradient is not null)
        {
            using var scope = NewDisposeScope();
            using var withGradients = enable_grad();
            var output = Recomputes(part) ? Compute(part, step.Input, batch) : step.Output;
            if (output.requires_grad)
                output.backward([gradient]);
            gradient.Dispose();
        }

        step.Output.Dispose();
        parts.Collect(part, isLast);
        parts.Release(part);
        var toInput = step.Input?.grad;
        step.Input?.Dispose();
        return toInput;
    }

    // A leaf of its own that shares the memory.
    private Tensor Cut(Tensor output, int part)
    {
        using var noGrad = no_grad();
        return output.detach().requires_grad_(parts.TrainsBefore(part));
    }

    private Tensor Compute(int part, Tensor? input, MicroBatch batch) => part == 0
        ? target.Body.Embed(batch.TokenIds)
        : target.Body.Blocks[part - 1].Forward(input!, batch.Layout);

    private Tensor Read(Tensor hidden, MicroBatch batch)
    {
        using var scope = NewDisposeScope();
        return target.Head.Forward(hidden.flatten(0, 1).index_select(0, batch.HeadPositions)).MoveToOuterDisposeScope();
    }

    // Input is null for the embedding, whose input has no gradient.
    private sealed record Step(Tensor? Input, Tensor Output);
}
