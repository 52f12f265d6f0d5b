using Akka.Configuration;
using ColossalChat.Host.Config;
using ColossalChat.PluginHost;
using CsCheck;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class HoconFuzzTests
{
    // Pieces of HOCON hit the interesting states far more often than single letters do.
    private static readonly Gen<string> s_soup = Gen.OneOf(
            OneOf("{", "}", "[", "]", "\"", "\"\"\"", "\\", "\\u12", "$", "${", "${?", "=", ":", "+=", ",", ".", "#", "//", "\n", "\r\n", " ", "\t", "\0", "\uFEFF", "null"),
            OneOf("a", "b", "a.b", "variables", "colossalchat", "akka", "${variables.a}", "${variables}", "${?b}", "${a.b}", "include", "include \"x\"", "include \"y\"", "variables { a = ", "1.5s"),
            Gen.String[Gen.Char, 0, 3])
        .Array[0, 60]
        .Select(pieces => string.Concat(pieces));

    private static readonly Gen<string> s_word = Gen.Char["abc-_09 .\"\\#${}[]:=,\n\té"].Array[0, 6].Select(letters => new string(letters));

    private static readonly Gen<ConfigNode> s_value = s_word.Select(text => (ConfigNode)new ConfigValue("", "", text));

    private static readonly Gen<ConfigNode> s_list = s_value.Array[0, 4].Select(items => (ConfigNode)new ConfigList("", "", items));

    [Fact]
    public void Any_text_is_read_without_crash_or_hang() =>
        s_soup.Select(s_soup, s_soup).Sample(
            (main, x, y) =>
            {
                var config = MemoryFiles.Load(main, [x], new Dictionary<string, string> { ["COLOSSALCHAT_RUN__NAME"] = y }, ("x", x), ("y", y));
                _ = HoconWriter.Write(config.Root);
            },
            iter: 20_000);

    [Fact]
    public void What_is_written_reads_back_the_same() =>
        Section(3).Sample(
            section =>
            {
                var text = HoconWriter.Write(new ConfigSection("", "", new Dictionary<string, ConfigNode> { ["variables"] = section }));
                var read = MemoryFiles.Load(text);
                Assert.Equal("", read.Lines());
                Assert.Equal(text, HoconWriter.Write(read.Root));
            },
            iter: 5_000);

    [Fact]
    public void Akka_reads_what_is_written_as_we_do() =>
        s_word.Where(text => text.Length > 0 && text == text.Trim()).Array[1, 4].Sample(
            texts =>
            {
                var children = texts.Index().ToDictionary(text => $"k{text.Index}", text => (ConfigNode)new ConfigValue("", "", text.Item));
                var config = ConfigurationFactory.ParseString(HoconWriter.Write(new ConfigSection("", "", children)));
                foreach (var (i, text) in texts.Index())
                    Assert.Equal(text, config.GetString($"k{i}"));
            },
            iter: 2_000);

    private static Gen<string> OneOf(params string[] texts) => Gen.Int[0, texts.Length - 1].Select(i => texts[i]);

    private static Gen<ConfigNode> Section(int depth)
    {
        var child = depth == 0 ? s_value : Gen.Frequency((4, s_value), (1, s_list), (2, Section(depth - 1)));
        return Gen.Select(s_word.Where(key => key.Trim().Length > 0), child).Array[0, 4]
            .Select(pairs => (ConfigNode)new ConfigSection("", "", pairs.DistinctBy(pair => pair.Item1).ToDictionary(pair => pair.Item1, pair => pair.Item2)));
    }
}
