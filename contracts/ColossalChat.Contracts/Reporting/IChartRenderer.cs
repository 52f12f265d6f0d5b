namespace ColossalChat.Contracts;

/// <summary>One line of a chart.</summary>
/// <param name="Name">Legend, in English.</param>
/// <param name="X">Positions.</param>
/// <param name="Y">Values, as many.</param>
public sealed record ChartLine(string Name, IReadOnlyList<double> X, IReadOnlyList<double> Y);

/// <summary>One chart.</summary>
/// <param name="Title">Title, in English.</param>
/// <param name="XLabel">Label and unit of the horizontal axis.</param>
/// <param name="YLabel">Label and unit of the vertical axis.</param>
/// <param name="Lines">Lines.</param>
public sealed record Chart(string Title, string XLabel, string YLabel, IReadOnlyList<ChartLine> Lines);

/// <summary>Draws charts.</summary>
public interface IChartRenderer
{
    /// <summary>Draws charts side by side into one PNG file.</summary>
    void RenderPng(IReadOnlyList<Chart> charts, string file);
}
