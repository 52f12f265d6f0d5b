using ColossalChat.Models.Generation;
using Xunit;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class StopMatcherTests
{
    [Theory]
    [InlineData("abcSTOPdef", "abc", true, "STOP")]
    [InlineData("abcSTOdef", "abcSTOdef", false, "STOP")]
    [InlineData("abcSTSTOP", "abcST", true, "STOP")]
    [InlineData("xaab", "xa", true, "ab")]
    [InlineData("one\n\ntwo", "one", true, "\n\n", "two")]
    [InlineData("xyz", "xyz", false)]
    [InlineData("STOP", "", true, "STOP")]
    [InlineData("abcST", "abcST", false, "STOP")]
    public void Text_ends_before_the_first_stop_string_however_it_is_cut(string text, string expected, bool isMatch, params string[] stops)
    {
        for (var size = 1; size <= text.Length; size++)
        {
            var matcher = new StopMatcher(stops);
            var (given, matched) = ("", false);
            for (var at = 0; at < text.Length && !matched; at += size)
            {
                given += matcher.Add(text.Substring(at, Math.Min(size, text.Length - at)), out matched);
                Assert.StartsWith(given, expected, StringComparison.Ordinal);
            }

            if (!matched)
                given += matcher.Finish();
            Assert.Equal((expected, isMatch), (given, matched));
        }
    }

    [Fact]
    public void Text_is_given_out_at_once_When_no_stop_string_can_begin_in_it()
    {
        var matcher = new StopMatcher(["STOP"]);
        Assert.Equal("abc", matcher.Add("abc", out _));
        Assert.Equal("", matcher.Add("S", out _));
        Assert.Equal("Sx", matcher.Add("x", out _));
    }
}
