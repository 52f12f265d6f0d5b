using System.Diagnostics;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>Notes how long the linear layers of a model take, while it exists; they compute what they computed before.</summary>
internal sealed class TimedLinears : IDisposable
{
    private readonly ILinearSite[] _sites;

    /// <summary>Attaches a clock to every linear layer without a kernel of its own.</summary>
    public TimedLinears(ICausalModel model)
    {
        _sites = [.. model.Blocks.SelectMany(block => block.Linears).Concat(model.LanguageHead.Linears).Where(site => site.Kernel is null)];
        foreach (var site in _sites)
            site.Kernel = new Clock(site, this);
    }

    /// <summary>Seconds in products so far.</summary>
    public double Seconds { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var site in _sites)
            site.Kernel = null;
    }

    private sealed class Clock(ILinearSite site, TimedLinears owner) : ILinearKernel
    {
        public Tensor Forward(Tensor input)
        {
            var start = Stopwatch.GetTimestamp();
            var output = nn.functional.linear(input, site.Weight.Value, site.Bias?.Value!);
            owner.Seconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
            return output;
        }
    }
}
