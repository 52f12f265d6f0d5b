using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.PluginHost;
using Xunit;

namespace ColossalChat.UnitTests.PluginHost;

[Trait("Category", "CI")]
[Collection(BuiltPluginsCollection.Name)]
public sealed class OptionsBinderTests(BuiltPlugins built)
{
    private readonly List<ConfigProblem> _problems = [];

    public enum Colour
    {
        Red,
        DarkBlue,
    }

    [Fact]
    public void Every_kind_of_value_is_bound()
    {
        using var catalog = Catalog();
        var options = Bind<AllKinds>(catalog, Config.Section(
            ("text", "hello"), ("flag", "true"), ("whole", "-3"), ("long-number", "9000000000"), ("seed-value", "18446744073709551615"),
            ("number", "1e-4"), ("duration", "250ms"), ("colour", "dark-blue"), ("maybe", "none"), ("maybe-too", "7"),
            ("numbers", new object[] { "1", "2" }),
            ("by-name", new (string, object)[] { ("a", "1.5"), ("B c", "2") }),
            ("nested", new (string, object)[] { ("depth", "4") }),
            ("nested-list", new object[] { new (string, object)[] { ("depth", "5") } }),
            ("reward", "sample-reward"),
            ("estimators", new object[] { "sample-estimator", new (string, object)[] { ("use", "sample-estimator") } })));
        Assert.Empty(_problems);
        Assert.Equal(("hello", true, -3, 9_000_000_000L, ulong.MaxValue, 1e-4), (options!.Text, options.Flag, options.Whole, options.LongNumber, options.SeedValue, options.Number));
        Assert.Equal((TimeSpan.FromMilliseconds(250), Colour.DarkBlue, (int?)null, (int?)7), (options.Duration, options.Colour, options.Maybe, options.MaybeToo));
        Assert.Equal([1, 2], options.Numbers);
        Assert.Equal(1.5, options.ByName["a"]);
        Assert.Equal(new Nested { Depth = 4, Label = "from parent" }, options.Nested);
        Assert.Equal([new Nested { Depth = 5 }], options.NestedList);
        Assert.Equal("sample-reward", options.Reward!.Name);
        Assert.NotNull(options.Reward.Options);
        Assert.Equal(2, options.Estimators.Count);
        Assert.Null(options.Loss);
    }

    [Fact]
    public void Default_plugin_gets_its_default_options_When_nothing_is_written()
    {
        using var catalog = Catalog();
        var options = Bind<WithDefault>(catalog, Config.Section());
        Assert.Empty(_problems);
        Assert.Equal("sample-reward", options!.Reward!.Name);
        Assert.Equal("SampleOptions", options.Reward.Options!.GetType().Name);

        options = Bind<WithDefault>(catalog, Config.Section(("reward", new (string, object)[] { ("score", "0.75") })));
        Assert.Empty(_problems);
        Assert.Contains("Score = 0.75", options!.Reward!.Options!.ToString(), StringComparison.Ordinal);
        Assert.Contains("00:00:30", options.Reward.Options.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Remaining_keys_take_names_of_the_users_own()
    {
        using var catalog = Catalog();
        var options = Bind<Open>(catalog, Config.Section(("limit", "3"), ("policy", new (string, object)[] { ("depth", "1") }), ("critic", new (string, object)[] { ("depth", "2") })));
        Assert.Empty(_problems);
        Assert.Equal((3, 1, 2), (options!.Limit, options.Entries["policy"].Depth, options.Entries["critic"].Depth));
    }

    [Fact]
    public void All_problems_are_found_at_once()
    {
        using var catalog = Catalog();
        var options = Bind<AllKinds>(catalog, Config.Section(
            ("flagg", "true"), ("flag", "maybe"), ("whole", "1.5"), ("long-number", "x"), ("seed-value", "-1"), ("number", "many"),
            ("duration", "5 parsecs"), ("colour", "dark-bleu"), ("numbers", "1"), ("by-name", "x"), ("nested", "x"), ("text", new object[] { "a" }),
            ("nested-list", new object[] { new (string, object)[] { ("deptth", "5") } }),
            ("reward", new (string, object)[] { ("use", "sample-reward"), ("score", "2"), ("inner", new (string, object)[] { ("patience", "soon") }) }),
            ("loss", new (string, object)[] { ("clip", "1") }),
            ("estimators", new object[] { "sample-estimatr" })));
        Assert.Null(options);
        AssertProblem("root.flagg", "Did you mean 'flag'? Keys here: by-name,");
        AssertProblem("root.flag", "expected true or false; found 'maybe'");
        AssertProblem("root.whole", "expected a whole number; found '1.5'");
        AssertProblem("root.long-number", "expected a whole number");
        AssertProblem("root.seed-value", "expected a whole number from 0");
        AssertProblem("root.number", "expected a number");
        AssertProblem("root.duration", "expected a duration such as 250ms");
        AssertProblem("root.colour", "'dark-bleu' is not allowed. Did you mean 'dark-blue'? Values: dark-blue, red.");
        AssertProblem("root.numbers", "expected a list in brackets");
        AssertProblem("root.by-name", "expected a section of names");
        AssertProblem("root.nested", "expected a section; found 'x'");
        AssertProblem("root.text", "expected text; found a list");
        AssertProblem("root.nested-list[0].deptth", "Did you mean 'depth'?");
        AssertProblem("root.reward.score", "score is 2; it must be from -1 to 1.");
        AssertProblem("root.reward.inner.patience", "expected a duration");
        AssertProblem("root.loss", "does not say which policy-loss to use");
        AssertProblem("root.estimators[0]", "there is no advantage-estimator 'sample-estimatr'. Did you mean 'sample-estimator'?");
        Assert.Equal(17, _problems.Count);
        Assert.All(_problems, problem => Assert.StartsWith("test.hocon:", problem.Location, StringComparison.Ordinal));
    }

    [Fact]
    public void Checks_see_absent_sections_and_required_keys_too()
    {
        using var catalog = Catalog();
        Assert.Null(Bind<Strict>(catalog, Config.Section()));
        AssertProblem("root.path", "must be given");
        AssertProblem("root.inner.share", "share is 0; it must be above 0.");
        AssertProblem("root", "Either of the two is needed.");
        Assert.Equal(3, _problems.Count);
    }

    [Fact]
    public void Check_that_throws_becomes_a_problem()
    {
        using var catalog = Catalog();
        Assert.Null(Bind<Throwing>(catalog, Config.Section()));
        AssertProblem("root", "the check of Throwing threw InvalidOperationException");
    }

    [Fact]
    public void Own_key_of_the_caller_is_left_alone()
    {
        using var catalog = Catalog();
        Assert.NotNull(OptionsBinder.Bind(typeof(Nested), Config.Section(("use", "x"), ("depth", "1")), catalog, _problems, "use"));
        Assert.Empty(_problems);
    }

    [Fact]
    public void Description_has_key_type_default_and_summary()
    {
        using var catalog = Catalog();
        var rows = OptionsBinder.Describe(catalog.Find(typeof(IScoringRole), "sample-reward")!.OptionsType);
        Assert.Equal(
            [
                new OptionDescription("score", "a number", "0.5", "Score of every answer. -1 to 1; default 0.5."),
                new OptionDescription("inner", "a section", "see below", "Nested settings."),
                new OptionDescription("inner.patience", "a duration such as 250ms, 30s, 5m or 1h", "30s", "How long to wait."),
            ],
            rows);
    }

    [Theory]
    [InlineData("KlCoefficient", "kl-coefficient")]
    [InlineData("TopK", "top-k")]
    [InlineData("HTTPPort", "http-port")]
    [InlineData("Zero3", "zero3")]
    public void Names_become_kebab_case(string name, string kebab) => Assert.Equal(kebab, KebabCase.Of(name));

    private void AssertProblem(string path, string says) => Assert.True(
        _problems.Any(problem => problem.Path == path && problem.Message.Contains(says, StringComparison.Ordinal)),
        $"no problem at {path} says '{says}':\n{string.Join("\n", _problems)}");

    private TOptions? Bind<TOptions>(PluginCatalog catalog, ConfigSection section)
        where TOptions : class => OptionsBinder.Bind<TOptions>(section, catalog, _problems);

    private PluginCatalog Catalog() => PluginCatalog.Load([built.FolderOf("SampleReward")], new Dictionary<string, string>(), _ => { });

    public sealed record AllKinds
    {
        public string Text { get; init; } = "";

        public bool Flag { get; init; }

        public int Whole { get; init; }

        public long LongNumber { get; init; }

        public ulong SeedValue { get; init; }

        public double Number { get; init; }

        public TimeSpan Duration { get; init; }

        public Colour Colour { get; init; }

        public int? Maybe { get; init; } = 1;

        public int? MaybeToo { get; init; }

        public IReadOnlyList<int> Numbers { get; init; } = [];

        public IReadOnlyDictionary<string, double> ByName { get; init; } = new Dictionary<string, double>();

        public Nested Nested { get; init; } = new() { Label = "from parent" };

        public IReadOnlyList<Nested> NestedList { get; init; } = [];

        public PluginChoice<IScoringRole>? Reward { get; init; }

        public IReadOnlyList<PluginChoice<IAdvantageEstimator>> Estimators { get; init; } = [];

        public PluginChoice<IPolicyLoss>? Loss { get; init; }
    }

    public sealed record Nested
    {
        public int Depth { get; init; } = 1;

        public string Label { get; init; } = "own";
    }

    public sealed record WithDefault
    {
        [DefaultPlugin("sample-reward")]
        public PluginChoice<IScoringRole>? Reward { get; init; }
    }

    public sealed record Open
    {
        public int Limit { get; init; }

        [RemainingKeys]
        public IReadOnlyDictionary<string, Nested> Entries { get; init; } = new Dictionary<string, Nested>();
    }

    public sealed record Strict : ICheckedOptions
    {
        public required string Path { get; init; }

        public StrictInner Inner { get; init; } = new();

        public IEnumerable<string> Problems() => ["Either of the two is needed."];
    }

    public sealed record StrictInner : ICheckedOptions
    {
        public double Share { get; init; }

        public IEnumerable<string> Problems() => ["share is 0; it must be above 0."];
    }

    public sealed record Throwing : ICheckedOptions
    {
        public IEnumerable<string> Problems() => throw new InvalidOperationException("oh");
    }
}
