using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Text;
using Xunit;

namespace ColossalChat.UnitTests.Text;

[Trait("Category", "CI")]
public sealed class DataVerbTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Inspect_shows_shape_rows_and_the_place_of_problems()
    {
        var file = _folder.Write("a.jsonl", """
            {"instruction":"Sort.","input":"3 1","output":"1 3","id":1}
            {"instruction":"Sort.","output":7}
            """);
        var output = await Run("data-inspect", new DataInspectOptions { File = file });
        Assert.Contains("alpaca, 1 rows, 1 malformed", output, StringComparison.Ordinal);
        Assert.Contains("user      Sort.\\n3 1", output, StringComparison.Ordinal);
        Assert.Contains("a.jsonl, row 2: field 'output' is a number", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    public async Task An_empty_file_is_called_empty(string content)
    {
        var file = _folder.Write("empty.json", content);
        var error = await Assert.ThrowsAsync<UserErrorException>(() => Run("data-inspect", new DataInspectOptions { File = file }));
        Assert.Contains("empty.json is empty: it has no rows", error.Message, StringComparison.Ordinal);
    }

    [DataFact]
    public async Task Preview_marks_the_tokens_that_carry_loss()
    {
        var file = _folder.Write("a.jsonl", """{"instruction":"Once","output":" upon 好"}""");
        var output = await Run("data-preview", new DataPreviewOptions { File = file, Model = TestData.PathOf("stories260K") });
        var marks = output.Split('\n').Where(line => line.Contains(" + \"", StringComparison.Ordinal) || line.Contains(" . \"", StringComparison.Ordinal)).ToArray();
        Assert.Equal(". \"<s>\"", marks[0][^7..].Trim());
        Assert.EndsWith("+ \"<s>\"", marks[^1].Trim(), StringComparison.Ordinal);
        Assert.Contains(marks, mark => mark.Contains("+ \"好\"", StringComparison.Ordinal));
        Assert.DoesNotContain("\uFFFD", output, StringComparison.Ordinal);
    }

    [DataFact]
    public async Task Preview_takes_another_template_and_refuses_unknown_ones()
    {
        var file = _folder.Write("a.jsonl", """{"instruction":"Once","output":"upon"}""");
        var options = new DataPreviewOptions { File = file, Model = TestData.PathOf("stories260K"), Template = "alpaca" };
        Assert.Contains("template alpaca", await Run("data-preview", options), StringComparison.Ordinal);
        var error = await Assert.ThrowsAsync<UserErrorException>(() => Run("data-preview", options with { Template = "x" }));
        Assert.Contains("alpaca, chatml, llama2, plain", error.Message, StringComparison.Ordinal);
    }

    [DataFact]
    public async Task Stats_count_the_real_files()
    {
        using var english = JsonDocument.Parse(await Stats("alpaca_en_demo.json"));
        using var chinese = JsonDocument.Parse(await Stats("dpo_zh_demo.json"));
        Assert.Equal(999, english.RootElement.GetProperty("rows").GetInt32() + english.RootElement.GetProperty("malformed").GetInt32());
        Assert.True(english.RootElement.GetProperty("languages").GetProperty("latin").GetDouble() > 0.95);
        Assert.True(chinese.RootElement.GetProperty("languages").GetProperty("zh").GetDouble() > 0.8);
        Assert.True(chinese.RootElement.GetProperty("dropped_at_context").GetInt32() > 200);
        var histogram = english.RootElement.GetProperty("histogram").EnumerateArray().Sum(bin => bin.GetProperty("count").GetInt32());
        Assert.Equal(english.RootElement.GetProperty("sequences").GetInt32(), histogram);
    }

    private static Task<string> Stats(string file) => Run(
        "data-stats",
        new DataStatsOptions { File = TestData.PathOf("instruct", file), Model = TestData.PathOf("stories260K"), Json = true });

    private static async Task<string> Run(string verb, object options)
    {
        var node = new TextNode();
        var output = new StringWriter();
        var code = await node.Resolve<ICliCommand>(verb).RunAsync(options, new CliContext(node, output, TextWriter.Null, null!), CancellationToken.None);
        Assert.Equal(ExitCode.Ok, code);
        return output.ToString();
    }
}
