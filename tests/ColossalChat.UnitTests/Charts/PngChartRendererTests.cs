using ColossalChat.Charts;
using ColossalChat.Contracts;
using SkiaSharp;
using Xunit;

namespace ColossalChat.UnitTests.Charts;

[Trait("Category", "CI")]
public sealed class PngChartRendererTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("charts-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(3, 3, 1)]
    [InlineData(5, 3, 2)]
    public void Charts_stand_side_by_side_and_then_below_When_there_are_several(int charts, int columns, int rows)
    {
        var options = new ChartOptions { Width = 300, Height = 200 };

        using var picture = Render(options, [.. Enumerable.Range(0, charts).Select(_ => Curve(10))]);

        Assert.Equal((300 * columns, 200 * rows), (picture.Width, picture.Height));
    }

    [Fact]
    public void Text_is_drawn_in_the_shipped_font_When_the_machine_may_have_none()
    {
        EmbeddedFont.Use();

        foreach (var name in (string[])[ScottPlot.Fonts.Default, "a font that no machine has"])
        {
            var typeface = ScottPlot.Fonts.GetTypeface(name, bold: false, italic: false);
            Assert.Equal(EmbeddedFont.Family, typeface.FamilyName);
        }
    }

    [Fact]
    public void The_title_leaves_ink_When_drawn()
    {
        var options = new ChartOptions { Width = 400, Height = 300 };
        using var with = Render(options, [Curve(5) with { Title = "Reward of every answer" }]);
        using var without = Render(options, [Curve(5) with { Title = "." }]);

        Assert.True(Ink(with, 0, 30) > Ink(without, 0, 30) + 100, $"{Ink(with, 0, 30)} against {Ink(without, 0, 30)} dark pixels");
    }

    [Fact]
    public void Every_chart_is_drawn_When_values_are_missing_or_many()
    {
        var noisy = Enumerable.Range(0, 500).Select(i => Math.Sin(i / 60.0) + (0.4 * Math.Sin(i * 1.7))).ToArray();
        noisy[250] = double.NaN;
        double[] steps = [.. Enumerable.Range(0, 500)];
        Chart[] charts =
        [
            new("Reward", "iteration", "reward", [new ChartLine("with PTX", steps, noisy), new ChartLine("without PTX", steps, [.. noisy.Select(v => v * .5)])]),
            new("KL", "iteration", "nats per answer", [new ChartLine("kl", [1, 2, 3, 4], [0, double.NaN, 2, 3])]),
            new("Nothing yet", "iteration", "loss", [new ChartLine("loss", [], [])]),
            new("Only gaps", "iteration", "loss", [new ChartLine("loss", [1, 2], [double.NaN, double.NaN])]),
        ];

        using var picture = Render(new ChartOptions(), charts);

        Assert.Equal(3 * 640, picture.Width);
        Assert.True(Ink(picture, 0, picture.Height) > 2000);
    }

    [Fact]
    public void Half_a_file_is_never_left_When_a_line_is_refused()
    {
        var file = Path.Combine(_folder, "bad.png");
        var chart = new Chart("Loss", "step", "nats", [new ChartLine("train", [1, 2, 3], [1, 2])]);

        var error = Assert.Throws<UserErrorException>(() => new PngChartRenderer(new ChartOptions()).RenderPng([chart], file));

        Assert.Equal("Line 'train' of chart 'Loss' has 3 positions and 2 values; give as many of each.", error.Message);
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public void No_chart_is_an_error_that_names_the_file_When_the_list_is_empty()
    {
        var error = Assert.Throws<UserErrorException>(() => new PngChartRenderer(new ChartOptions()).RenderPng([], "curves.png"));

        Assert.Contains("'curves.png'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_name_every_wrong_value_When_checked()
    {
        var problems = new ChartOptions { Width = 1, Height = 1, Columns = 0, SmoothAbove = 0 }.Problems().ToList();

        Assert.Equal(["width", "height", "columns", "smooth-above"], problems.Select(p => p.Split(' ')[0]));
        Assert.Empty(new ChartOptions().Problems());
    }

    private static Chart Curve(int points) => new(
        "Loss", "step", "nats", [new ChartLine("loss", [.. Enumerable.Range(0, points)], [.. Enumerable.Range(0, points).Select(i => 1.0 / (i + 1))])]);

    private static int Ink(SKBitmap picture, int top, int bottom)
    {
        var dark = 0;
        for (var y = top; y < bottom; y++)
            for (var x = 0; x < picture.Width; x++)
                dark += picture.GetPixel(x, y).Red < 128 ? 1 : 0;
        return dark;
    }

    private SKBitmap Render(ChartOptions options, Chart[] charts)
    {
        var file = Path.Combine(_folder, "sub", "curves.png");
        new PngChartRenderer(options).RenderPng(charts, file);
        Assert.Equal([file], Directory.GetFiles(Path.GetDirectoryName(file)!));
        if (Environment.GetEnvironmentVariable("COLOSSALCHAT_KEEP_CHARTS") is { } keep)
            File.Copy(file, Path.Combine(keep, $"charts-{charts.Length}.png"), overwrite: true);
        return SKBitmap.Decode(file);
    }
}
