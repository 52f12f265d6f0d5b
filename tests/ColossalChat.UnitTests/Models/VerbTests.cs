using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Models;
using ColossalChat.Models.Verbs;
using ColossalChat.PluginKit;
using ColossalChat.Text;
using Xunit;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class VerbTests : IDisposable
{
    private readonly string _root = SmallModel.TemporaryFolder();
    private readonly TestNode _node = new TestNode().With(new ModelsPlugin()).With(new TextPlugin());

    [DataFact]
    public async Task Generate_prints_the_reference_text_of_every_prompt()
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Path.Combine(Stories.Folder, "golden.json")));
        foreach (var entry in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            var options = new GenerateOptions { Model = Stories.Folder, Prompt = entry.GetProperty("prompt").GetString()!, Temperature = 0, Json = true };
            using var json = await RunJson("generate", options);
            Assert.Equal(entry.GetProperty("greedy_text").GetString(), json.RootElement.GetProperty("text").GetString());
            Assert.Equal(entry.GetProperty("greedy_ids").GetArrayLength(), json.RootElement.GetProperty("token_ids").GetArrayLength());
            Assert.Equal("length", json.RootElement.GetProperty("finish_reason").GetString());
            Assert.Equal(entry.GetProperty("greedy_text").GetString() + "\n", await Run("generate", options with { Json = false }));
        }
    }

    [DataFact]
    public async Task Generate_ends_before_a_stop_string_and_answers_chat_turns()
    {
        var options = new GenerateOptions { Model = Stories.Folder, Prompt = "Once upon a time", Temperature = 0, Stop = ["Lily"], Json = true };
        using var json = await RunJson("generate", options);
        Assert.Equal("Once upon a time, there was a little girl named ", json.RootElement.GetProperty("text").GetString());
        Assert.Equal("stop", json.RootElement.GetProperty("finish_reason").GetString());
        using var chat = await RunJson("generate", options with { Stop = [], Chat = true, MaxTokens = 5 });
        Assert.Equal(chat.RootElement.GetProperty("text").GetString(), chat.RootElement.GetProperty("completion").GetString());
    }

    [DataFact]
    public async Task Perplexity_by_the_written_rule_is_the_reference_number()
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Path.Combine(Stories.Folder, "golden.json")));
        using var json = await RunJson("eval-perplexity", new PerplexityOptions { Model = Stories.Folder, Text = TestData.PathOf("text", "tinystories.txt"), Json = true });
        var expected = golden.RootElement.GetProperty("perplexity");
        Assert.Equal(expected.GetProperty("tokens").GetInt64(), json.RootElement.GetProperty("tokens").GetInt64());
        Assert.InRange(json.RootElement.GetProperty("perplexity").GetDouble(), expected.GetProperty("perplexity").GetDouble() * 0.999, expected.GetProperty("perplexity").GetDouble() * 1.001);
    }

    [DataFact]
    public async Task Logits_are_the_reference_numbers()
    {
        var golden = Stories.Cases()[0];
        using var json = await RunJson("model-logits", new LogitsOptions { Model = Stories.Folder, Ids = string.Join(",", golden.Prompt), Json = true });
        var next = json.RootElement.GetProperty("next_logprobs").EnumerateArray().Select(item => item.GetSingle()).ToArray();
        Assert.Equal(golden.PromptLogProbs.Length, next.Length);
        Assert.All(golden.PromptLogProbs.Zip(next), pair => Assert.InRange(pair.Second, pair.First - 1e-4, pair.First + 1e-4));
        Assert.Equal(512, json.RootElement.GetProperty("last").GetArrayLength());
        foreach (var ids in new[] { "", "1,x", "1,512", "-1" })
            await Assert.ThrowsAsync<UserErrorException>(() => Run("model-logits", new LogitsOptions { Model = Stories.Folder, Ids = ids }));
    }

    [DataFact]
    public async Task Exported_models_verify_against_their_source()
    {
        var (sharded, half) = (Path.Combine(_root, "sharded"), Path.Combine(_root, "half"));
        await Run("model-export", new ModelExportOptions { Source = Stories.Folder, Target = sharded, ShardMegabytes = 1 });
        await Run("model-export", new ModelExportOptions { Source = Stories.Folder, Target = half, Precision = "float16" });
        using var same = await RunJson("model-verify", new ModelVerifyOptions { Folder = sharded, Against = Stories.Folder, Json = true });
        Assert.Equal(0, same.RootElement.GetProperty("different").GetArrayLength());
        using var original = await RunJson("model-verify", new ModelVerifyOptions { Folder = Stories.Folder, Json = true });
        Assert.Equal(original.RootElement.GetProperty("sha256").GetString(), same.RootElement.GetProperty("sha256").GetString());
        using var other = await RunJson("model-verify", new ModelVerifyOptions { Folder = half, Against = Stories.Folder, Json = true }, ExitCode.Failed);
        Assert.NotEqual(0, other.RootElement.GetProperty("different").GetArrayLength());
        using var info = await RunJson("model-info", new ModelInfoOptions { Folder = half, Json = true });
        Assert.Equal("float16", info.RootElement.GetProperty("saved_precision").GetString());
        Assert.Equal(512, info.RootElement.GetProperty("context_length").GetInt32());
    }

    [Fact]
    public void Paragraphs_are_split_at_blank_lines_and_short_ones_passed_over() =>
        Assert.Equal(["aaaa\nbb", "dddd"], PerplexityCommand.ParagraphsOf("aaaa\nbb\n\nccc\n\n\r\n \ndddd\n\neeee", 3, 2));

    [Fact]
    public async Task Missing_folders_and_files_say_so()
    {
        Assert.Equal(ExitCode.NotFound, (await Assert.ThrowsAsync<UserErrorException>(() => Run("generate", new GenerateOptions { Model = "/nowhere", Prompt = "a" }))).ExitCode);
        Assert.Equal(ExitCode.NotFound, (await Assert.ThrowsAsync<UserErrorException>(() => Run("model-verify", new ModelVerifyOptions { Folder = _root }))).ExitCode);
        Assert.Equal(ExitCode.NotFound, (await Assert.ThrowsAsync<UserErrorException>(() => Run("eval-perplexity", new PerplexityOptions { Model = _root, Text = "/nowhere" }))).ExitCode);
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private async Task<string> Run(string verb, object options, ExitCode expected = ExitCode.Ok)
    {
        using var output = new StringWriter();
        var code = await _node.Resolve<ICliCommand>(verb).RunAsync(options, new CliContext(_node, output, TextWriter.Null, new NoStages()), default);
        Assert.Equal(expected, code);
        return output.ToString();
    }

    private async Task<JsonDocument> RunJson(string verb, object options, ExitCode expected = ExitCode.Ok) =>
        JsonDocument.Parse(await Run(verb, options, expected));

    private sealed class NoStages : IStageRunner
    {
        public Task<StageOutcome> RunAsync(string hocon, IReadOnlyList<string> overrides, CancellationToken cancel) =>
            throw new NotSupportedException("Model verbs run no stage.");
    }
}

[Trait("Category", "CI")]
public sealed class ModelsPluginConformance : PluginConformance
{
    protected override IPlugin CreatePlugin() => new ModelsPlugin();
}
