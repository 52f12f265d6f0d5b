using ColossalChat.Contracts;
using ScottPlot;
using Chart = ColossalChat.Contracts.Chart;

namespace ColossalChat.Charts;

/// <summary>Draws charts with ScottPlot into one PNG, left to right and then down, in a font of its own.</summary>
internal sealed class PngChartRenderer(ChartOptions options) : IChartRenderer
{
    // Okabe and Ito's palette: told apart by colour-blind readers too.
    private static readonly Color[] Colours =
    [
        Color.FromHex("#0072B2"), Color.FromHex("#D55E00"), Color.FromHex("#009E73"), Color.FromHex("#CC79A7"),
        Color.FromHex("#E69F00"), Color.FromHex("#56B4E9"), Color.FromHex("#000000"),
    ];

    /// <inheritdoc/>
    public void RenderPng(IReadOnlyList<Chart> charts, string file)
    {
        if (charts.Count == 0)
            throw new UserErrorException($"There is no chart to draw into '{file}'; give at least one.");
        EmbeddedFont.Use();
        var columns = Math.Min(options.Columns, charts.Count);
        var rows = (charts.Count + columns - 1) / columns;
        var picture = new Multiplot();
        picture.AddPlots(charts.Count);
        picture.Layout = new ScottPlot.MultiplotLayouts.Grid(rows, columns);
        for (var i = 0; i < charts.Count; i++)
            Draw(charts[i], picture.GetPlot(i));
        var png = picture.Render(columns * options.Width, rows * options.Height).GetImageBytes(ImageFormat.Png);
        WriteWhole(file, png);
    }

    private static void WriteWhole(string file, byte[] bytes)
    {
        var path = Path.GetFullPath(file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        // A viewer that watches the file must never see half of it.
        var unfinished = path + ".part";
        File.WriteAllBytes(unfinished, bytes);
        File.Move(unfinished, path, overwrite: true);
    }

    private void Draw(Chart chart, Plot plot)
    {
        plot.Title(chart.Title, 18);
        plot.XLabel(chart.XLabel);
        plot.YLabel(chart.YLabel);
        plot.Grid.MajorLineColor = Colors.Black.WithAlpha(.08);
        for (var i = 0; i < chart.Lines.Count; i++)
        {
            LineShape.Check(chart, chart.Lines[i]);
            Draw(chart.Lines[i], plot, Colours[i % Colours.Length]);
        }

        plot.Font.Set(EmbeddedFont.Family);
        plot.Legend.FontName = EmbeddedFont.Family;
        plot.Axes.AutoScale();
        if (chart.Lines.Count > 1)
        {
            plot.Legend.FontSize = 13;
            plot.Legend.BackgroundColor = Colors.White.WithAlpha(.8);
            plot.ShowLegend(Edge.Bottom);
        }
        else
        {
            plot.HideLegend();
        }
    }

    private void Draw(ChartLine line, Plot plot, Color colour)
    {
        var smooth = line.Y.Count > options.SmoothAbove;
        if (smooth)
            DrawRuns(line.X, line.Y, plot, colour.WithAlpha(.25), 1, null);
        var y = smooth ? LineShape.Smooth(line.Y, LineShape.HalfWindow(line.Y.Count)) : line.Y;
        DrawRuns(line.X, y, plot, colour, 2.5f, line.Name);
        foreach (var (x, height) in LineShape.Marks(line.X, line.Y))
            plot.Add.Marker(x, height, MarkerShape.Eks, 9, colour);
    }

    private static void DrawRuns(
        IReadOnlyList<double> x, IReadOnlyList<double> y, Plot plot, Color colour, float width, string? name)
    {
        foreach (var run in LineShape.Runs(x, y))
        {
            var drawn = plot.Add.Scatter(run.X, run.Y, colour);
            drawn.LineWidth = width;
            // A value between two gaps has no line to be seen by.
            drawn.MarkerSize = run.X.Length == 1 ? 7 : 0;
            if (name is not null)
                (drawn.LegendText, name) = (name, null);
        }
    }
}
