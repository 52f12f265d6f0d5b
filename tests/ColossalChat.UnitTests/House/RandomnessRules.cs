using System.Text.RegularExpressions;
using Xunit;

namespace ColossalChat.UnitTests.House;

/// <summary>Every random number is a function of a key, and no two uses share one.</summary>
[Trait("Category", "CI")]
public sealed partial class RandomnessRules
{
    private static readonly string[] s_code = ["contracts", "host", "plugins"];

    [Fact]
    public void Randomness_is_keyed()
    {
        var offences = (
            from file in Repository.Sources(s_code)
            let bare = SourceText.Bare(File.ReadAllText(file))
            from place in Draws(bare)
            select $"{Repository.Relative(file)}:{LineOf(bare, place)}: draws from a generator with hidden state; use RandomKey, or give it a seeded generator").ToArray();
        Assert.True(offences.Length == 0, string.Join("\n", offences));
    }

    [Theory]
    [InlineData("var r = new Random(3);")]
    [InlineData("var r = Random.Shared.Next();")]
    [InlineData("torch.manual_seed(1);")]
    [InlineData("var g = new Generator();")]
    [InlineData("var x = torch.rand(3);")]
    [InlineData("var x = rand(3);")]
    [InlineData("var x = randn([3, 4], float32);")]
    [InlineData("var x = randint(5, [2]);")]
    [InlineData("var x = randperm(5);")]
    [InlineData("var x = y.randn_like();")]
    [InlineData("var x = multinomial(p, 1);")]
    [InlineData("var x = p.multinomial(1);")]
    [InlineData("var x = bernoulli(p);")]
    [InlineData("var x = p.bernoulli();")]
    [InlineData("var x = normal(0.0, 1.0, [3]);")]
    [InlineData("x.normal_();")]
    [InlineData("x.uniform_(-1, 1);")]
    [InlineData("init.normal_(w, 0, 0.02);")]
    [InlineData("nn.init.normal_(w, 0, 0.02, new Generator(1));")]
    [InlineData("init.kaiming_uniform_(w);")]
    [InlineData("x.bernoulli_(0.5).random_(0, 3).exponential_();")]
    [InlineData("x = functional.dropout(x, 0.1, training);")]
    [InlineData("x = dropout(x);")]
    [InlineData("_drop = nn.Dropout(0.1);")]
    [InlineData("_head = Linear(3, 4, hasBias: false);")]
    [InlineData("_head = nn.Linear(3, 4);")]
    [InlineData("_words = Embedding(3, 4);")]
    public void Draws_from_hidden_state_are_found(string code) => Assert.NotEmpty(Draws(SourceText.Bare(code)));

    [Theory]
    [InlineData("var x = new RandomKey(seed, RandomPurpose.Data).Normal(3);")]
    [InlineData("w.normal_(0, 0.02, new Generator(1));")]
    [InlineData("var x = rand(3, generator: generator);")]
    [InlineData("x.normal_(Mean(3), 1, generator);")]
    [InlineData("private readonly Linear _head;")]
    [InlineData("var y = functional.linear(x, w);")]
    [InlineData("var e = Embedding_from_pretrained(w);")]
    [InlineData("if (_owner.Dropout > 0) x *= DropoutFactors(x);")]
    [InlineData("var order = key.Permutation(5);")]
    [InlineData("// rand(3) in a comment")]
    public void What_is_keyed_or_seeded_is_let_pass(string code) => Assert.Empty(Draws(SourceText.Bare(code)));

    [Fact]
    public void Every_shuffled_order_has_a_stream_of_its_own()
    {
        var shuffles = (
            from file in Repository.Sources(s_code)
            let bare = SourceText.Bare(File.ReadAllText(file))
            from Match key in ShuffleKey().Matches(bare)
            let stream = StreamName().Match(key.Value).Value
            let value = Regex.Match(bare, $@"const long {stream} = (0x[0-9A-F]+|\d+);").Groups[1].Value
            select (Place: $"{Repository.Relative(file)}:{LineOf(bare, key.Index)}", Name: stream, Value: value)).ToArray();
        Assert.True(shuffles.Length >= 5, $"{shuffles.Length} orders were found; the rule looks for them in the wrong way.");
        Assert.Empty(shuffles.Where(use => use.Name.Length == 0 || use.Value.Length == 0).Select(use => $"{use.Place}: no stream constant in the key"));
        Assert.Empty(shuffles.GroupBy(use => use.Value).Where(group => group.Count() > 1).Select(group => string.Join(" and ", group.Select(use => use.Place)) + $" share stream {group.Key}"));
    }

    // A call that is given a generator draws from that one; where it was made, it was seeded. TorchSharp's nn.init takes one
    // too and does not use it.
    private static IEnumerable<int> Draws(string bare) =>
        from Match match in Draw().Matches(bare)
        let call = match.Value.EndsWith('(') ? CallFrom(bare, match.Index + match.Length) : ""
        where !call.Contains("enerator", StringComparison.Ordinal) || match.Value.StartsWith("init.", StringComparison.Ordinal)
        select match.Index;

    private static string CallFrom(string bare, int start)
    {
        var (end, depth) = (start, 1);
        for (; end < bare.Length && depth > 0; end++)
            depth += bare[end] switch { '(' => 1, ')' => -1, _ => 0 };
        return bare[start..end];
    }

    private static int LineOf(string bare, int place) => bare.AsSpan(0, place).Count('\n') + 1;

    // In turn: .NET's own; the process's seed; torch's functions, with the class in front or not; methods of tensors and
    // of init; dropout; layers whose constructors draw their first weights.
    [GeneratedRegex(
        @"\bnew Random\(|\bRandom\.Shared\b|\bmanual_seed\b|\bnew Generator\(\s*\)"
        + @"|(?<![\w.])(?:torch\.)?(?:rand|randn|randint|randperm|normal|poisson)\("
        + @"|\b(?:rand_like|randn_like|randint_like|multinomial|bernoulli)\("
        + @"|\binit\.\w+_\(|\b\w*(?:normal|uniform|bernoulli|exponential|geometric|cauchy|orthogonal)_\(|\.random_\("
        + @"|\b\w*dropout\w*\(|(?<!new |\w)(?:Alpha|Feature)?Dropout[123]?d?\("
        + @"|(?<![\w.]|new )(?:(?:torch\.)?nn\.)?(?:Linear|Bilinear|Embedding|EmbeddingBag|Conv(?:Transpose)?[123]d|(?:LSTM|GRU|RNN)(?:Cell)?|MultiheadAttention|Transformer\w*)\(")]
    private static partial Regex Draw();

    [GeneratedRegex(@"new RandomKey\([^()]*RandomPurpose\.Shuffle[^()]*\)")]
    private static partial Regex ShuffleKey();

    [GeneratedRegex(@"\b\w*Stream\b")]
    private static partial Regex StreamName();
}
