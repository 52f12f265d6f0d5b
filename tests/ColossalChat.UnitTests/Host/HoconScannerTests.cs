using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class HoconScannerTests
{
    [Theory]
    [InlineData("variables { a = 1", "main.hocon:1: variables: the section opened here with '{' is never closed")]
    [InlineData("variables {\n  a = [1, 2\n}", "main.hocon:3: variables.a: '}' closes the list opened at main.hocon:2")]
    [InlineData("variables { a = 1 }\n}\n", "main.hocon:2: (file): '}' closes nothing")]
    [InlineData("variables {\n a = [1, 2]]\n}", "main.hocon:2: variables: ']' closes the section opened at main.hocon:1")]
    [InlineData("variables {\n a = \"open\n b = 2 }", "main.hocon:2: variables.a: the quote opened here is not closed on its line")]
    [InlineData("variables { a = \"\"\"open }", "main.hocon:1: variables.a: the triple quote opened here is never closed")]
    [InlineData("variables { a = 1\n a = 2 }", "main.hocon:2: variables.a: the key is written twice, first at main.hocon:1")]
    [InlineData("variables { a.b = 1\n a { b = 2 } }", "main.hocon:2: variables.a.b: the key is written twice, first at main.hocon:1")]
    [InlineData("variables { a = 1\n a { b = 2 } }", "main.hocon:2: variables.a: the key is written twice")]
    [InlineData("variables {\n a += 1 }", "main.hocon:2: variables.a: '+=' is not supported")]
    [InlineData("variables { a = ${variables.a} [2] }", "main.hocon:1: variables.a: ${variables.a} stands inside variables.a itself")]
    [InlineData("variables { a { b = ${variables.a} } }", "main.hocon:1: variables.a.b: ${variables.a} stands inside variables.a itself")]
    [InlineData("variables { a = ${variables.b}\n b = ${variables.a} }", "stands inside variables.a itself")]
    [InlineData("variables { a = ${variables.none} }", "main.hocon:1: variables.a: ${variables.none} is neither a key of this configuration nor an environment variable")]
    [InlineData("variables { a = ${x\n }", "'${' is never closed")]
    [InlineData("variables { a = ${} }", "'${}' names nothing")]
    [InlineData("variables { a =\n b = 2 }", "main.hocon:1: variables.a: the value is missing")]
    [InlineData("variables { a\n b = 2 }", "main.hocon:1: variables.a: after the key comes 'the end of the line'")]
    [InlineData("variables { a = akka.tcp://x:1 }", "main.hocon:1: variables.a: ':' is not allowed in a value without quotes")]
    [InlineData("variables { a = \"C:\\data\" }", "'\\d' is no escape")]
    [InlineData("variables { a = [1] { b = 2 } }", "cannot stand side by side")]
    [InlineData("variables { include \"missing.hocon\" }", "there is no readable file missing.hocon")]
    [InlineData("variables { include missing.hocon }", "include needs a file name in quotes")]
    [InlineData("colosalchat { seed = 1 }", "main.hocon:1: colosalchat: this is no root key. Did you mean 'colossalchat'?")]
    [InlineData("colossalchat = 1", "main.hocon:1: colossalchat: this must be a section")]
    public void A_trap_is_reported_with_file_and_line(string text, string expected) =>
        Assert.Contains(expected, MemoryFiles.Load(text).Lines(), StringComparison.Ordinal);

    [Fact]
    public void Each_trap_is_reported_once_and_all_are_reported_together()
    {
        var config = MemoryFiles.Load("variables {\n a = 1\n a = 2\n b += 3\n c = \"open\n d = x:y\n e = ${nowhere}\n f = fine\n}\n");

        Assert.Equal([3, 4, 5, 6, 7], config.Problems.Select(problem => int.Parse(problem.Location.Split(':')[1], System.Globalization.CultureInfo.InvariantCulture)).Order());
        Assert.Equal("fine", config.At("variables.f"));
    }

    [Theory]
    [InlineData("a = word", "word")]
    [InlineData("a = two words  ", "two words")]
    [InlineData("a = /data/x-1.5_b/y", "/data/x-1.5_b/y")]
    [InlineData("a = 1.5s", "1.5s")]
    [InlineData("a = -1e-4 // remark", "-1e-4")]
    [InlineData("a = 1 # remark", "1")]
    [InlineData("a : 1", "1")]
    [InlineData("a = \"x # y { \\\"q\\\" \\u00e9\\n\"", "x # y { \"q\" é\n")]
    [InlineData("a = \"\"\"raw \"x\" \\ y\"\"\"", "raw \"x\" \\ y")]
    [InlineData("\"a\" = 1,", "1")]
    [InlineData("a = \"null\"", "null")]
    [InlineData("a = null", ConfigLook.Absent)]
    [InlineData("a = \"你好\"", "你好")]
    [InlineData("a =\n  \"on the next line\"", "on the next line")]
    public void A_value_is_read_as_written(string line, string expected)
    {
        var config = MemoryFiles.Load($"variables {{\n{line}\n}}");

        Assert.Equal("", config.Lines());
        Assert.Equal(expected, config.At("variables.a"));
    }

    [Fact]
    public void Sections_of_one_name_merge_and_dotted_keys_reach_into_them()
    {
        var config = MemoryFiles.Load("variables { a { x = 1 }, a.y = 2\n a { \"z.w\" = 3 } }");

        Assert.Equal("", config.Lines());
        Assert.Equal(["1", "2", "3"], [config.At("variables.a.x"), config.At("variables.a.y"), config.At("variables.a.\"z.w\"")]);
    }

    [Fact]
    public void A_document_may_stand_in_braces() => Assert.Equal("1", MemoryFiles.Load("{ variables { a = 1 } }").At("variables.a"));

    [Fact]
    public void Substitutions_fill_in_keys_and_environment_and_join_with_text()
    {
        var config = MemoryFiles.Load(
            "variables { base = /data, a = ${variables.base}/x, b = ${?NOT_SET}, c = ${SET}, d = [1] ${variables.e}, e = [2], f = { x = 1 }, g = ${variables.f} { y = 2 }, h = ${variables.g.x} }",
            environment: new Dictionary<string, string> { ["SET"] = "from outside" });

        Assert.Equal("", config.Lines());
        Assert.Equal(["/data/x", ConfigLook.Absent, "from outside"], [config.At("variables.a"), config.At("variables.b"), config.At("variables.c")]);
        Assert.Equal(["1", "2"], config.Items("variables.d"));
        Assert.Equal(["1", "2", "1"], [config.At("variables.g.x"), config.At("variables.g.y"), config.At("variables.h")]);
    }

    [Fact]
    public void An_unknown_name_is_reported_once_however_often_its_key_is_used() =>
        Assert.Single(MemoryFiles.Load("variables { a = ${nowhere}\n b = ${variables.a}\n c = ${variables.b} }").Problems);

    [Fact]
    public void A_section_may_refer_to_its_own_sibling()
    {
        var config = MemoryFiles.Load("variables { a { b = ${variables.a.c}\n c = 1 } }");

        Assert.Equal("", config.Lines());
        Assert.Equal("1", config.At("variables.a.b"));
    }

    [Fact]
    public void An_included_file_is_overwritten_by_what_follows_and_keeps_its_own_places()
    {
        var config = MemoryFiles.Load("variables {\n include \"base.hocon\"\n x = 2\n}", others: ("base.hocon", "x = 1\ny = ${x}"));

        Assert.Equal("", config.Lines());
        Assert.Equal(["2", "2"], [config.At("variables.x"), config.At("variables.y")]);
        Assert.StartsWith("base.hocon:2", config.Node("variables.y")!.Location, StringComparison.Ordinal);
    }

    [Fact]
    public void An_include_that_would_overwrite_what_stands_before_it_is_reported() =>
        Assert.Contains(
            "put the include before that line",
            MemoryFiles.Load("variables {\n x = 2\n include \"base.hocon\"\n}", others: ("base.hocon", "x = 1")).Lines(),
            StringComparison.Ordinal);

    [Fact]
    public void Files_that_include_each_other_are_reported() =>
        Assert.Contains(
            "goes round in a circle: main.hocon -> a.hocon -> b.hocon -> a.hocon",
            MemoryFiles.Load("variables { include \"a.hocon\" }", others: [("a.hocon", "include \"b.hocon\""), ("b.hocon", "include \"a.hocon\"")]).Lines(),
            StringComparison.Ordinal);

    [Fact]
    public void Nesting_beyond_reason_is_reported_and_not_followed()
    {
        var deep = string.Concat(Enumerable.Repeat("{ a = ", 100_000));

        Assert.Contains("nest deeper than", MemoryFiles.Load("variables " + deep).Lines(), StringComparison.Ordinal);
        Assert.Contains("nest deeper than", MemoryFiles.Load("variables { a = " + new string('[', 100_000)).Lines(), StringComparison.Ordinal);
        Assert.Contains("nest deeper than", MemoryFiles.Load(string.Join('.', Enumerable.Repeat("a", 100_000)) + " = 1").Lines(), StringComparison.Ordinal);
    }

    [Fact]
    public void Substitutions_that_explode_are_reported_and_not_followed()
    {
        var doubling = string.Join('\n', Enumerable.Range(0, 60).Select(i => $"a{i} = ${{variables.a{i + 1}}}${{variables.a{i + 1}}}"));
        var lookups = string.Join('\n', Enumerable.Range(0, 60).Select(i => $"b{i} = ${{variables.b{i + 1}}} ${{variables.b{i + 1}}}"));

        Assert.Contains("becomes too large", MemoryFiles.Load($"variables {{\n{doubling}\na60 = xxxxxxxxxxxxxxxx\n}}").Lines(), StringComparison.Ordinal);
        Assert.NotEqual("", MemoryFiles.Load($"variables {{\n{lookups}\nb60 = {{ }}\nc = ${{variables.b0.x}}\n}}").Lines());
    }
}
