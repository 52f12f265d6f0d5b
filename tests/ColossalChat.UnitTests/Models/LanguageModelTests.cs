using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Generation;
using ColossalChat.PluginKit;
using Xunit;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class LanguageModelTests : IDisposable
{
    private readonly ICausalModel _model = SmallModel.Create();
    private readonly Ragged<int> _rows = Ragged.FromRows(new[] { 5, 1, 17, 2, 64, 5 }.Select((length, i) => SmallModel.Prompt(i, length)).ToArray());

    [Theory]
    [InlineData(1, 258)]
    [InlineData(40, 700)]
    [InlineData(100_000, 1)]
    public void Chunks_change_nothing(int chunkTokens, int chunkLogits)
    {
        var whole = new LanguageModel(_model).LogProbs(_rows, default);
        var chunked = new LanguageModel(_model, chunkTokens, chunkLogits).LogProbs(_rows, default);
        Assert.Equal([4, 0, 16, 1, 63, 4], Enumerable.Range(0, whole.Rows).Select(whole.LengthOf));
        Assert.True(whole.HasShapeOf(chunked));
        for (var i = 0; i < whole.Values.Length; i++)
            Assert.InRange(chunked.Values.Span[i], whole.Values.Span[i] - 1e-4, whole.Values.Span[i] + 1e-4);
    }

    [Fact]
    public void Next_log_probabilities_are_a_distribution_and_agree_with_those_of_given_ids()
    {
        var judge = new LanguageModel(_model);
        var next = judge.NextLogProbs(_rows[2][..10], default);
        Assert.Equal(1, next.Sum(value => Math.Exp(value)), 4);
        Assert.Equal(judge.LogProbs(_rows, default)[2].Span[9], next[_rows[2].Span[10]], 4);
    }

    [Fact]
    public void Too_long_sequences_and_no_ids_are_refused()
    {
        var judge = new LanguageModel(_model);
        Assert.Contains("65 tokens", Assert.Throws<UserErrorException>(() => judge.LogProbs(Ragged.FromRows([SmallModel.Prompt(1, 65)]), default)).Message, StringComparison.Ordinal);
        Assert.Throws<UserErrorException>(() => judge.NextLogProbs(default, default));
    }

    [Fact]
    public void No_tensor_stays_behind() =>
        LiveTensors.StayConstant(
            () =>
            {
                new LanguageModel(_model, 40, 700).LogProbs(_rows, default);
                new LanguageModel(_model).NextLogProbs(_rows[0], default);
            },
            50);

    public void Dispose() => _model.Dispose();
}
