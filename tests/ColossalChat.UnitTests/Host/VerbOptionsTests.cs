using System.CommandLine;
using ColossalChat.Contracts;
using ColossalChat.Host.Cli;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class VerbOptionsTests
{
    public enum Shade
    {
        Light,
        VeryDark,
    }

    public sealed record Sample
    {
        [CliArgument(0)]
        public required string First { get; init; }

        [CliArgument(1)]
        public IReadOnlyList<string> Rest { get; init; } = [];

        [CliHelp("Words.")]
        public int MaxTokens { get; init; } = 64;

        public double? Temperature { get; init; }

        public bool Json { get; init; }

        public bool Color { get; init; } = true;

        public IReadOnlyList<int> Ids { get; init; } = [];

        public IReadOnlyList<string> File { get; init; } = [];

        public Shade Shade { get; init; }

        public string? Prompt { get; init; }
    }

    [Fact]
    public void Defaults_stay_when_nothing_is_given() => Assert.Equal((64, null, false, true, Shade.Light), Tuple(Read("x")));

    [Fact]
    public void Flags_arguments_and_lists_are_read()
    {
        var read = Read("x", "a=1", "b=2", "--max-tokens", "5", "--temperature", "0.5", "--json", "--no-color", "--ids", "1,5,9", "--file", "p", "--file", "q", "--shade", "very-dark", "--prompt", "@who, -x");

        Assert.Equal((5, 0.5, true, false, Shade.VeryDark), Tuple(read));
        Assert.Equal(["a=1", "b=2"], read.Rest);
        Assert.Equal([1, 5, 9], read.Ids);
        Assert.Equal(["p", "q"], read.File);
        Assert.Equal("@who, -x", read.Prompt);
    }

    [Theory]
    [InlineData("--max-tokens", "many")]
    [InlineData("--shade", "pink")]
    [InlineData("--ids", "1,x")]
    public void A_value_that_does_not_fit_names_flag_and_what_is_allowed(string flag, string value)
    {
        var error = Assert.Throws<UserErrorException>(() => Read("x", flag, value));

        Assert.Equal(ExitCode.Usage, error.ExitCode);
        Assert.StartsWith(flag + ": '", error.Message, StringComparison.Ordinal);
    }

    private static (int, double?, bool, bool, Shade) Tuple(Sample read) => (read.MaxTokens, read.Temperature, read.Json, read.Color, read.Shade);

    private static Sample Read(params string[] args)
    {
        var command = new RootCommand();
        var options = VerbOptions.AddTo(command, typeof(Sample));
        var parsed = command.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false });
        Assert.Empty(parsed.Errors);
        return (Sample)options.Read(parsed);
    }
}
