using ColossalChat.Quickstart;
using ColossalChat.Quickstart.Data;
using Xunit;

namespace ColossalChat.UnitTests.Quickstart;

[Trait("Category", "CI")]
public sealed class ComparisonTests
{
    [Fact]
    public void Wins_are_the_seconds_and_losses_the_firsts_and_equal_scores_count_for_neither()
    {
        var duel = Comparison.Of(Sheet(0.0, 0.7, 0.4, 1.0, 0.7), Sheet(0.7, 1.0, 1.0, 0.7, 0.7));

        Assert.Equal(new Comparison(Wins: 3, Losses: 1), duel);
        Assert.Equal(4, duel.Decided);
        Assert.Equal(0.75, duel.WinShare, 12);
    }

    [Fact]
    public void Swapping_the_sheets_swaps_wins_and_losses()
    {
        var (first, second) = (Sheet(0.0, 0.7, 0.4, 1.0), Sheet(0.7, 0.7, 1.0, 0.0));
        var (there, back) = (Comparison.Of(first, second), Comparison.Of(second, first));

        Assert.Equal((there.Wins, there.Losses), (back.Losses, back.Wins));
        Assert.Equal(1.0, there.WinShare + back.WinShare, 12);
    }

    [Fact]
    public void The_share_is_not_a_number_When_nothing_is_decided()
    {
        var duel = Comparison.Of(Sheet(0.0, 0.7, 1.0), Sheet(0.0, 0.7, 1.0));

        Assert.Equal((0, 0, 0), (duel.Wins, duel.Losses, duel.Decided));
        Assert.True(double.IsNaN(duel.WinShare));
    }

    [Theory]
    [InlineData(5, 0, 1.0)]
    [InlineData(0, 5, 0.0)]
    [InlineData(1, 2, 1.0 / 3)]
    public void The_share_is_wins_among_the_decided(int wins, int losses, double share) =>
        Assert.Equal(share, new Comparison(wins, losses).WinShare, 12);

    [Fact]
    public void Only_scores_decide_not_tone()
    {
        // A wrong answer scores 0 whether polite or not: manners alone win nothing.
        var curt = new ExamSheet(1, ["a"], [new CheckResult(0.0, IsRight: false, IsPolite: false, IsRude: false)]);
        var polite = new ExamSheet(1, ["b"], [new CheckResult(AnswerChecker.WrongAndPolite, IsRight: false, IsPolite: true, IsRude: false)]);

        Assert.Equal(0, Comparison.Of(curt, polite).Decided);
    }

    [Fact]
    public void Mean_score_is_over_the_questions_of_the_language_asked_for()
    {
        QuickstartRow[] questions = [Question("en"), Question("zh"), Question("en"), Question("zh")];
        var sheet = Sheet(1.0, 0.0, 0.7, 0.4);

        Assert.Equal(0.525, sheet.MeanScore(questions), 12);
        Assert.Equal(0.85, sheet.MeanScore(questions, "en"), 12);
        Assert.Equal(0.2, sheet.MeanScore(questions, "zh"), 12);
    }

    private static ExamSheet Sheet(params double[] scores) =>
        new(1, [.. scores.Select(_ => "")], [.. scores.Select(s => new CheckResult(s, s > 0, s >= 1, false))]);

    private static QuickstartRow Question(string language) =>
        new() { Language = language, Task = "copy", Prompt = "?", Plain = ["!"], Polite = ["!"], Operands = ["?"] };
}
