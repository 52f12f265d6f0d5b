using System.CommandLine;
using ColossalChat.Contracts;
using ColossalChat.Host.Cli;
using ColossalChat.PluginHost;
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

        [CliHelp("Patience.")]
        public TimeSpan Wait { get; init; } = TimeSpan.FromMinutes(5);
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
    [InlineData("--ids", "1,000.5")]
    [InlineData("--shade", "VeryDark")]
    [InlineData("--shade", "Very-Dark")]
    [InlineData("--wait", "30")]
    public void A_value_that_does_not_fit_names_flag_and_what_is_allowed(string flag, string value)
    {
        var error = Assert.Throws<UserErrorException>(() => Read("x", flag, value));

        Assert.Equal(ExitCode.Usage, error.ExitCode);
        Assert.StartsWith(flag + ": '", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--wait", "30s")]
    [InlineData("--wait", "250ms")]
    [InlineData("--wait", "1.5h")]
    [InlineData("--wait", "30")]
    [InlineData("--shade", "very-dark")]
    [InlineData("--shade", "Very-Dark")]
    [InlineData("--temperature", "1,000")]
    [InlineData("--temperature", "1e-3")]
    [InlineData("--max-tokens", "+5")]
    public void A_flag_takes_what_a_configuration_takes(string flag, string value)
    {
        using var catalog = PluginCatalog.Load([], new Dictionary<string, string>(), _ => { });
        var key = flag[2..];
        var problems = new List<ConfigProblem>();
        var section = new ConfigSection("root", "test", new Dictionary<string, ConfigNode>
        {
            ["first"] = new ConfigValue("root.first", "test", "x"),
            [key] = new ConfigValue($"root.{key}", "test", value),
        });

        var bound = OptionsBinder.Bind<Sample>(section, catalog, problems);

        if (bound is null)
            Assert.Throws<UserErrorException>(() => Read("x", flag, value));
        else
            Assert.Equal((Tuple(bound), bound.Wait), (Tuple(Read("x", flag, value)), Read("x", flag, value).Wait));
    }

    [Fact]
    public void Help_shows_defaults_as_they_are_written()
    {
        var command = new RootCommand();
        VerbOptions.AddTo(command, typeof(Sample));
        Assert.Equal("Patience. [default: 5m]", command.Options.Single(option => option.Name == "--wait").Description);
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
