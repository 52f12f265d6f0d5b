using ColossalChat.Contracts;
using ColossalChat.Models.Generation;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class TokenSamplerTests
{
    // Probabilities .4 .25 .15 .1 .05 .03 .02, in mixed order.
    private static readonly float[] s_probabilities = [0.05f, 0.4f, 0.02f, 0.15f, 0.25f, 0.1f, 0.03f];
    private static readonly float[] s_logProbs = [.. s_probabilities.Select(p => MathF.Log(p))];

    public static TheoryData<SamplingOptions, int[]> Filters => new()
    {
        { new SamplingOptions(), [0, 1, 2, 3, 4, 5, 6] },
        { new SamplingOptions { TopK = 3 }, [1, 3, 4] },
        { new SamplingOptions { TopK = 100 }, [0, 1, 2, 3, 4, 5, 6] },
        { new SamplingOptions { TopP = 0.79 }, [1, 3, 4] },
        { new SamplingOptions { TopP = 0.81 }, [1, 3, 4, 5] },
        { new SamplingOptions { TopP = 0.01 }, [1] },
        { new SamplingOptions { MinP = 0.3 }, [1, 3, 4] },
        { new SamplingOptions { TopK = 4, TopP = 0.85 }, [1, 3, 4] },
        { new SamplingOptions { TopK = 5, MinP = 0.5 }, [1, 4] },
        { new SamplingOptions { TopP = 0.95, MinP = 0.2 }, [1, 3, 4, 5] },
    };

    [Theory]
    [MemberData(nameof(Filters))]
    public void Log_probability_is_that_of_the_filtered_distribution_and_frequencies_follow_it(SamplingOptions sampling, int[] kept)
    {
        var buffer = new CandidateBuffer();
        var whole = kept.Sum(id => s_probabilities[id]);
        var counts = new int[s_probabilities.Length];
        const int Draws = 20_000;
        for (var i = 0; i < Draws; i++)
        {
            var (id, logProb) = TokenSampler.Sample(s_logProbs, sampling, (i + 0.5) / Draws, buffer);
            counts[id]++;
            Assert.InRange(Math.Exp(logProb), (s_probabilities[id] / whole) - 1e-5, (s_probabilities[id] / whole) + 1e-5);
        }

        for (var id = 0; id < counts.Length; id++)
            Assert.InRange(counts[id] / (double)Draws, kept.Contains(id) ? (s_probabilities[id] / whole) - 2e-4 : 0, kept.Contains(id) ? (s_probabilities[id] / whole) + 2e-4 : 0);
    }

    [Theory]
    [InlineData(50, 1.0, 0.0)]
    [InlineData(0, 0.9, 0.0)]
    [InlineData(0, 0.999, 0.01)]
    [InlineData(1000, 0.5, 0.0)]
    public void Large_vocabulary_keeps_what_a_plain_sort_keeps(int topK, double topP, double minP)
    {
        var key = new RandomKey(3, RandomPurpose.Data);
        var logits = Enumerable.Range(0, 20_000).Select(i => (float)(3 * key.Normal(i))).ToArray();
        var normaliser = Math.Log(logits.Sum(logit => Math.Exp(logit)));
        var logProbs = logits.Select(logit => (float)(logit - normaliser)).ToArray();
        var buffer = new CandidateBuffer();
        buffer.Filter(logProbs, new SamplingOptions { TopK = topK, TopP = topP, MinP = minP });
        Assert.Equal(PlainFilter(logProbs, topK, topP, minP).Order(), Enumerable.Range(0, buffer.Count).Select(buffer.IdAt).Order());
    }

    [Fact]
    public void Top_k_keeps_the_lower_ids_When_tokens_tie()
    {
        var buffer = new CandidateBuffer();
        var logProbs = Enumerable.Repeat(MathF.Log(1 / 64f), 64).ToArray();
        buffer.Filter(logProbs, new SamplingOptions { TopK = 5 });
        Assert.Equal([0, 1, 2, 3, 4], Enumerable.Range(0, buffer.Count).Select(buffer.IdAt));
    }

    [Fact]
    public void Impossible_tokens_are_never_drawn()
    {
        float[] logProbs = [float.NegativeInfinity, 0, float.NegativeInfinity];
        foreach (var uniform in new[] { 0, 0.5, 0.9999999999 })
            foreach (var sampling in new[] { new SamplingOptions(), new SamplingOptions { TopP = 0.9 }, new SamplingOptions { TopK = 2 } })
                Assert.Equal((1, 0f), TokenSampler.Sample(logProbs, sampling, uniform, new CandidateBuffer()));
    }

    [Fact]
    public void Rows_with_different_settings_are_drawn_side_by_side()
    {
        using var logits = tensor(new float[] { 1, 3, 2, 1, 3, 2, 1, 3, 2, -1, 3, 2 }, [4, 3]);
        Answer Begin(SamplingOptions sampling, int prompt) =>
            new(new GenerationRequest { Prompt = new[] { prompt }, MaxNewTokens = 5, Sampling = sampling, Key = new RandomKey(1, RandomPurpose.Sampling) }, null, 64, null);
        Answer[] answers =
        [
            Begin(new SamplingOptions { Temperature = 0 }, 0),
            Begin(new SamplingOptions { Temperature = 0.5, TopK = 1 }, 0),
            Begin(new SamplingOptions { Temperature = 2 }, 0),
            Begin(new SamplingOptions { Temperature = 0, RepetitionPenalty = 2 }, 1),
        ];
        TokenSampler.Draw(logits, answers);
        var unmodified = 3 - Math.Log(Math.Exp(1) + Math.Exp(3) + Math.Exp(2));
        Assert.Equal((1, unmodified), (answers[0].Last, answers[0].Result().LogProbs[0]), new Near());
        Assert.Equal((1, 0), (answers[1].Last, answers[1].Result().LogProbs[0]), new Near());
        var warm = new double[] { 0.5, 1.5, 1 };
        Assert.Equal(warm[answers[2].Last] - Math.Log(warm.Sum(x => Math.Exp(x))), answers[2].Result().LogProbs[0], 5);
        Assert.Equal(2, answers[3].Last);
        Assert.Equal(2 - Math.Log(Math.Exp(-1) + Math.Exp(3) + Math.Exp(2)), answers[3].Result().LogProbs[0], 5);
    }

    public static TheoryData<SamplingOptions> Settings =>
    [
        new SamplingOptions(),
        new SamplingOptions { Temperature = 0 },
        new SamplingOptions { Temperature = 0.5 },
        new SamplingOptions { TopK = 2 },
        new SamplingOptions { TopP = 0.9 },
        new SamplingOptions { MinP = 0.1 },
        new SamplingOptions { RepetitionPenalty = 1.3 },
        new SamplingOptions { Temperature = 0, RepetitionPenalty = 1.3 },
        new SamplingOptions { TopK = 2, TopP = 0.9 },
        new SamplingOptions { TopK = 2, MinP = 0.1 },
        new SamplingOptions { TopP = 0.9, MinP = 0.1 },
        new SamplingOptions { TopP = 0.9, RepetitionPenalty = 1.3 },
        new SamplingOptions { Temperature = 0.5, TopK = 3, TopP = 0.9, MinP = 0.1, RepetitionPenalty = 1.3 },
    ];

    [Theory]
    [MemberData(nameof(Settings))]
    public void Logits_that_are_no_numbers_are_an_error_under_every_setting(SamplingOptions sampling)
    {
        Answer Begin() => new(new GenerationRequest { Prompt = new[] { 1 }, MaxNewTokens = 2, Sampling = sampling }, null, 64, null);
        foreach (var broken in (float[][])[
            [float.NaN, float.NaN, float.NaN, float.NaN],
            [1, 2, float.NaN, 3],
            [1, 2, float.PositiveInfinity, 3],
            [float.NegativeInfinity, float.NegativeInfinity, float.NegativeInfinity, float.NegativeInfinity]])
        {
            using var logits = tensor([1, 2, 3, 4, .. broken], [2, 4]);
            Answer[] answers = [Begin(), Begin()];
            var error = Assert.Throws<InvalidOperationException>(() => TokenSampler.Draw(logits, answers));
            Assert.Contains("logits of answer 2 of the 2 being written are not numbers", error.Message, StringComparison.Ordinal);
            Assert.Contains("model verify", error.Message, StringComparison.Ordinal);
            Assert.All(answers, answer => Assert.Empty(answer.Result().Ids));
        }
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void Filters_end_on_numbers_that_are_none(SamplingOptions sampling)
    {
        float[] logProbs = [-1, float.NaN, -2];
        Assert.Throws<InvalidOperationException>(() => new CandidateBuffer().Filter(logProbs, sampling));
        Assert.Throws<InvalidOperationException>(() => TokenSampler.Sample([float.NaN, float.NaN], sampling, 0.5, new CandidateBuffer()));
    }

    private static int[] PlainFilter(float[] logProbs, int topK, double topP, double minP)
    {
        var order = Enumerable.Range(0, logProbs.Length).OrderByDescending(id => logProbs[id]).ToArray();
        if (topK > 0)
            order = order[..topK];
        var whole = topK > 0 ? order.Sum(id => Math.Exp(logProbs[id])) : 1;
        var kept = new List<int>();
        double reached = 0;
        foreach (var id in order)
        {
            if (reached >= topP * whole)
                break;
            reached += Math.Exp(logProbs[id]);
            kept.Add(id);
        }

        return [.. kept.Where(id => minP == 0 || logProbs[id] >= logProbs[order[0]] + (float)Math.Log(minP))];
    }

    private sealed class Near : IEqualityComparer<(int Id, double LogProb)>
    {
        public bool Equals((int Id, double LogProb) x, (int Id, double LogProb) y) => x.Id == y.Id && Math.Abs(x.LogProb - y.LogProb) < 1e-5;

        public int GetHashCode((int Id, double LogProb) obj) => obj.Id;
    }
}
