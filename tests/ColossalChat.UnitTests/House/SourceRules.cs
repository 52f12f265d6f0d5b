using System.Text.RegularExpressions;
using Xunit;

namespace ColossalChat.UnitTests.House;

[Trait("Category", "CI")]
public sealed partial class SourceRules
{
    private const int LongestFile = 400;
    private const int LongestTestFile = 600;
    private const int LongestMethod = 60;

    [Fact]
    public void Files_are_short() => Report(
        Repository.Sources("contracts", "host", "plugins").Select(file => (file, Limit: LongestFile))
            .Concat(Repository.Sources("tests").Select(file => (file, Limit: LongestTestFile)))
            .Select(entry => (entry.file, entry.Limit, Lines: File.ReadLines(entry.file).Count()))
            .Where(entry => entry.Lines > entry.Limit)
            .Select(entry => $"{Repository.Relative(entry.file)} has {entry.Lines} lines; at most {entry.Limit}. Split it."));

    [Fact]
    public void Methods_are_short() => Report(
        from file in Repository.Sources("host", "plugins")
        from method in MethodLengths.Of(File.ReadAllText(file))
        where method.Length > LongestMethod
        select $"{Repository.Relative(file)}:{method.Line} is {method.Length} lines long; at most {LongestMethod}.");

    [Fact]
    public void Nothing_is_caught_and_dropped() =>
        Report(Hits(EmptyCatch(), "an empty catch; handle it, or catch less", "contracts", "host", "plugins", "tests"));

    [Fact]
    public void Nothing_blocks_on_a_task() =>
        Report(Hits(Blocking(), "blocks on a task; await it", "contracts", "host", "plugins"));

    [Fact]
    public void Masks_say_what_true_means() =>
        Report(Hits(BannedMask(), "a mask is named for what true means, such as isResponse", "contracts", "host", "plugins", "tests"));

    [Fact]
    public void Tests_do_not_sleep() => Report(Hits(Sleep(), "waits for a while; wait for the event", "tests"));

    [Fact]
    public void There_are_no_regions_and_no_loose_ends() =>
        Report(
            from file in Repository.Sources("contracts", "host", "plugins", "tests")
            where !file.EndsWith(nameof(SourceRules) + ".cs", StringComparison.Ordinal)
            from line in File.ReadLines(file).Select((text, i) => (text, number: i + 1))
            where LooseEnd().IsMatch(line.text)
            select $"{Repository.Relative(file)}:{line.number}: {line.text.Trim()}");

    [Fact]
    public void Files_are_named_for_what_they_do() => Report(
        Repository.Sources("contracts", "host", "plugins", "tests")
            .Where(file => VagueName().IsMatch(Path.GetFileNameWithoutExtension(file)))
            .Select(file => $"{Repository.Relative(file)}: a name such as Utils, Helper or Manager says nothing"));

    [Fact]
    public void Method_lengths_are_measured_right()
    {
        const string source =
            """"
            namespace A;
            public sealed class B(int x) : C<int>
            {
                private static readonly int[] s_table = new int[]
                {
                    1,
                };
                public int P { get; } = 1;
                [Fact]
                public void M(string s = "{")
                {
                    if (x) { Call('{', $"{(x ? "}" : "a")}", @"""{"); }
                }
            }
            """";
        Assert.Equal([(8, 1), (9, 5)], MethodLengths.Of(source));
    }

    private static void Report(IEnumerable<string> offences)
    {
        var all = offences.ToArray();
        Assert.True(all.Length == 0, $"{all.Length} places break a rule of the house:\n{string.Join("\n", all)}");
    }

    private static IEnumerable<string> Hits(Regex pattern, string advice, params string[] groups) =>
        from file in Repository.Sources(groups)
        let bare = SourceText.Bare(File.ReadAllText(file))
        from Match match in pattern.Matches(bare)
        select $"{Repository.Relative(file)}:{bare.AsSpan(0, match.Index).Count('\n') + 1}: {advice}";

    [GeneratedRegex(@"\bcatch\b[^{;]*\{\s*\}")]
    private static partial Regex EmptyCatch();

    // Reading a task's Result is found by BlockingRules; here it would be mistaken for other properties of that name.
    [GeneratedRegex(@"\.Wait\(\)|\.GetAwaiter\(\)\s*\.GetResult\(\)")]
    private static partial Regex Blocking();

    [GeneratedRegex("padding_?mask", RegexOptions.IgnoreCase)]
    private static partial Regex BannedMask();

    [GeneratedRegex(@"\bThread\.Sleep\(|\bTask\.Delay\(")]
    private static partial Regex Sleep();

    [GeneratedRegex(@"^\s*#region|\bTODO\b(?!\s*\(?#\d)|\bFIXME\b")]
    private static partial Regex LooseEnd();

    [GeneratedRegex("(Utils?|Utilities|Helpers?|Manager)$")]
    private static partial Regex VagueName();
}
