using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Llama;
using static TorchSharp.torch;

namespace ColossalChat.Models.Heads;

// N = positions, H = hidden size.

/// <summary>Final norm and a layer with one output, computed in float32.</summary>
internal sealed class ValueHead : IOutputHead
{
    /// <summary>Name of the weight in <c>value_head.safetensors</c>.</summary>
    public const string WeightName = "value_head.weight";

    /// <summary>Name of the bias in <c>value_head.safetensors</c>.</summary>
    public const string BiasName = "value_head.bias";
    private const double FirstSpread = 0.01;
    private readonly ICausalModel _body;

    /// <summary>A head with small random weights: its first values are near zero, yet its gradient reaches the body.</summary>
    public ValueHead(ICausalModel body, RandomKey key)
    {
        _body = body;
        Weight = new ParameterSlot(WeightName, empty([1, body.Shape.HiddenSize], body.Precision, body.Device).DetachFromDisposeScope());
        Bias = new ParameterSlot(BiasName, zeros([1], body.Precision, body.Device).DetachFromDisposeScope());
        FirstWeights.Fill(Weight.Value, FirstSpread, isNorm: false, key);
        Parameters = [.. body.FinalNorm.Parameters, Weight, Bias];
    }

    /// <summary>[1, H].</summary>
    public ParameterSlot Weight { get; }

    /// <summary>[1].</summary>
    public ParameterSlot Bias { get; }

    /// <inheritdoc/>
    public IReadOnlyList<ParameterSlot> Parameters { get; }

    /// <inheritdoc/>
    public IReadOnlyList<ILinearSite> Linears => [];

    /// <inheritdoc/>
    public Tensor Forward(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        var states = _body.Normalise(hidden).to(ScalarType.Float32);
        return nn.functional.linear(states, Weight.Value.to(ScalarType.Float32), Bias.Value.to(ScalarType.Float32))
            .squeeze(-1)
            .MoveToOuterDisposeScope();
    }
}
