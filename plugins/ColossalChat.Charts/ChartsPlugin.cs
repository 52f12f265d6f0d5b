using ColossalChat.Contracts;

namespace ColossalChat.Charts;

/// <summary>Registers <c>png</c>, the chart renderer.</summary>
public sealed class ChartsPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry) =>
        registry.Add<IChartRenderer, ChartOptions>("png", (options, _) => new PngChartRenderer(options));
}
