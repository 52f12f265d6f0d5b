using ColossalChat.Charts;
using Xunit;

namespace ColossalChat.UnitTests.Charts;

[Trait("Category", "CI")]
public sealed class LineShapeTests
{
    private const double Gap = double.NaN;

    [Fact]
    public void A_line_is_cut_When_a_value_is_not_a_number()
    {
        var runs = LineShape.Runs([1, 2, 3, 4, 5, 6], [10, 20, Gap, 40, double.PositiveInfinity, 60]);

        Assert.Equal([[1.0, 2.0], [4.0], [6.0]], runs.Select(run => run.X));
        Assert.Equal([[10.0, 20.0], [40.0], [60.0]], runs.Select(run => run.Y));
    }

    [Fact]
    public void Every_value_that_is_not_a_number_is_marked_When_the_line_has_gaps()
    {
        var marks = LineShape.Marks([1, 2, 3, 4], [Gap, 5, 7, double.NegativeInfinity]);

        Assert.Equal([(1, 5), (4, 7)], marks);
    }

    [Fact]
    public void A_straight_line_stays_itself_When_smoothed()
    {
        double[] straight = [.. Enumerable.Range(0, 100).Select(i => (3.0 * i) - 7)];

        var smooth = LineShape.Smooth(straight, LineShape.HalfWindow(100));

        for (var i = 0; i < 100; i++)
            Assert.Equal(straight[i], smooth[i], 9);
    }

    [Fact]
    public void A_gap_stays_a_gap_and_spoils_no_neighbour_When_smoothed()
    {
        var smooth = LineShape.Smooth([1, 1, Gap, 1, 1], 2);

        Assert.Equal([1, 1, Gap, 1, 1], smooth);
    }

    [Fact]
    public void Noise_is_averaged_over_the_window_When_smoothed()
    {
        var smooth = LineShape.Smooth([0, 6, 0, 6, 0], 1);

        Assert.Equal([0.0, 2.0, 4.0, 2.0, 0.0], smooth);
    }
}
