using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace SampleLoss;

public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry) =>
        registry.Add<IPolicyLoss, NoOptions>("sample-loss", (_, _) => new Loss());
}

public sealed class Loss : IPolicyLoss
{
    public ObjectiveResult Compute(PolicyLossInput input)
    {
        using var scope = NewDisposeScope();
        var zeros = zeros_like(input.NewLogProbs);
        var weighted = where(input.IsResponse, input.NewLogProbs, zeros) * where(input.IsResponse, input.Advantages, zeros);
        return new ObjectiveResult((-weighted.sum() / input.Totals.Targets).MoveToOuterDisposeScope(), new Dictionary<string, double>());
    }
}
