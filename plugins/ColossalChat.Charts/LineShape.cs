using ColossalChat.Contracts;

namespace ColossalChat.Charts;

/// <summary>Pure arithmetic on a line's points before they are drawn.</summary>
internal static class LineShape
{
    /// <summary>Points without a gap between them.</summary>
    public sealed record Run(double[] X, double[] Y);

    /// <summary>
    /// Cuts a line at every value that is not a number, so that a gap is seen and not bridged. Runs hold at least one point.
    /// </summary>
    public static IReadOnlyList<Run> Runs(IReadOnlyList<double> x, IReadOnlyList<double> y)
    {
        var runs = new List<Run>();
        var start = 0;
        for (var i = 0; i <= y.Count; i++)
        {
            if (i < y.Count && double.IsFinite(y[i]) && double.IsFinite(x[i]))
                continue;
            if (i > start)
                runs.Add(new Run([.. x.Skip(start).Take(i - start)], [.. y.Skip(start).Take(i - start)]));
            start = i + 1;
        }

        return runs;
    }

    /// <summary>
    /// Where to mark values that are NaN or infinite: at their x, at the height of the nearest finite value before them
    /// (after them at the beginning of the line).
    /// </summary>
    public static IReadOnlyList<(double X, double Y)> Marks(IReadOnlyList<double> x, IReadOnlyList<double> y)
    {
        var marks = new List<(double, double)>();
        var height = y.Where(double.IsFinite).FirstOrDefault();
        for (var i = 0; i < y.Count; i++)
        {
            if (double.IsFinite(y[i]))
                height = y[i];
            else if (double.IsFinite(x[i]))
                marks.Add((x[i], height));
        }

        return marks;
    }

    /// <summary>
    /// Centred moving average over the finite values of a window, narrower at both ends so that it never looks past them.
    /// NaN stays NaN.
    /// </summary>
    /// <param name="y">Values.</param>
    /// <param name="halfWindow">Values on each side; 0 changes nothing.</param>
    public static double[] Smooth(IReadOnlyList<double> y, int halfWindow)
    {
        var smooth = new double[y.Count];
        for (var i = 0; i < y.Count; i++)
        {
            var half = Math.Min(halfWindow, Math.Min(i, y.Count - 1 - i));
            var (sum, count) = (0.0, 0);
            for (var j = i - half; j <= i + half; j++)
                if (double.IsFinite(y[j]))
                    (sum, count) = (sum + y[j], count + 1);
            smooth[i] = double.IsFinite(y[i]) ? sum / count : double.NaN;
        }

        return smooth;
    }

    /// <summary>The window for a line of so many points: a twentieth of it, half on each side.</summary>
    public static int HalfWindow(int points) => Math.Max(2, points / 40);

    /// <summary>Refuses a line whose parts differ in length.</summary>
    public static void Check(Chart chart, ChartLine line)
    {
        if (line.X.Count != line.Y.Count)
            throw new UserErrorException(
                $"Line '{line.Name}' of chart '{chart.Title}' has {line.X.Count} positions and {line.Y.Count} values; give as many of each.");
    }
}
