using ColossalChat.Contracts;
using ColossalChat.Text;
using ColossalChat.UnitTests.Rlhf.Support;
using Xunit;

namespace ColossalChat.UnitTests.Text;

[Trait("Category", "CI")]
public sealed class BatchSourceTests : IDisposable
{
    private static readonly Lazy<IBatchSource> _instruct = new(Instruct);
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [DataFact]
    public void Iterations_are_pure_and_an_epoch_uses_every_row_once()
    {
        var (first, second) = (_instruct.Value, Instruct());
        var epoch = new List<string>();
        for (var iteration = 1L; iteration <= first.Iterations / 2; iteration++)
        {
            var batch = Assert.Single(first.Take(iteration, 1));
            Assert.InRange(batch.Rows, 30, 32);
            epoch.AddRange(Rows(batch));
        }

        Assert.Equal(first.Metrics["data/rows"], epoch.Count);
        var next = Enumerable.Range(1, (int)first.Iterations / 2).SelectMany(i => Rows(first.Take(i + (first.Iterations / 2), 1)[0]));
        Assert.Equal(epoch.Order(), next.Order());
        foreach (var iteration in new long[] { 7, 1, 40, 1000 })
            Assert.Equal(Rows(first.Take(iteration, 1)[0]), Rows(second.Take(iteration, 1)[0]));
        Assert.NotEqual(Rows(first.Take(1, 1)[0]), Rows(first.Take(1 + (first.Iterations / 2), 1)[0]));
    }

    [DataFact]
    public void Ranks_share_out_the_same_rows()
    {
        var source = _instruct.Value;
        var whole = Rows(source.Take(3, 1)[0]);
        var parts = source.Take(3, 3);
        Assert.Equal(whole.Order(), parts.SelectMany(Rows).Order());
        Assert.All(parts, part => Assert.InRange(part.Rows, whole.Length / 3, (whole.Length / 3) + 1));
    }

    [DataFact]
    public void Only_the_answer_and_its_stop_token_carry_loss()
    {
        var text = TextNode.Open(TestData.PathOf("stories260K"));
        var source = Sft("""{"messages":[{"role":"user","content":"Hi."},{"role":"assistant","content":" One."},{"role":"user","content":" Go on."},{"role":"assistant","content":" Two."}]}""");
        var batch = source.Take(1, 1)[0];
        var targets = Enumerable.Range(0, batch.Tokens.Values.Length).Where(i => batch.IsTarget.Values.Span[i]).Select(i => batch.Tokens.Values.Span[i]).ToArray();
        Assert.Equal([.. text.Tokenizer.EncodeContinuation(" One."), 1, .. text.Tokenizer.EncodeContinuation(" Two."), 1], targets);
        Assert.Equal(targets.Length, batch.TargetTokens);
        Assert.Equal(targets.Length, source.Metrics["data/target_tokens"]);
    }

    [DataFact]
    public void Training_rollout_and_chat_see_the_same_ids()
    {
        var file = _folder.Write("chat.jsonl", """{"messages":[{"role":"user","content":"Question?"},{"role":"assistant","content":"Answer."}]}""");
        var node = Node();
        var prompt = node.Create(new PluginChoice<IPromptSource>("prompt-source", new PromptSourceOptions { Files = [file], HeldOut = 0 })).Take(new BatchId(1, 0), 0, 1, 1);
        var trained = Create(node, new SftBatchOptions { Files = [file], HeldOut = 0 }).Take(1, 1)[0];
        var chat = node.TextOf("policy").Template.Encode([new(ChatRole.User, "Question?")], forAnswer: true).Ids;
        Assert.Equal(chat, prompt.Tokens[0].ToArray());
        Assert.Equal(chat, trained.Tokens[0].ToArray()[..chat.Length]);
        Assert.DoesNotContain(true, trained.IsTarget[0].ToArray()[..chat.Length]);
        Assert.DoesNotContain(false, trained.IsTarget[0].ToArray()[chat.Length..]);
    }

    [DataFact]
    public void Answers_that_are_cut_and_prompts_that_fill_the_context_are_counted()
    {
        var (cut, tooLong) = (new string('a', 300), new string('q', 300));
        var rows = $$"""
            {"instruction":"{{tooLong}}","output":"x"}
            {"instruction":"q","output":"{{cut}}"}
            {"instruction":"q","output":"short"}
            """;
        var source = Sft(rows, maxTokens: 128);
        Assert.Equal((2, 1, 0.5), (source.Metrics["data/rows"], source.Metrics["data/dropped_prompt_too_long"], source.Metrics["data/trunc_ratio"]));
        Assert.Equal(128, source.Metrics["data/seq_len_max"]);
        Assert.Contains(source.Remarks, remark => remark.Contains("Cut 1 answers at 128 tokens", StringComparison.Ordinal));
        Assert.Contains(source.Remarks, remark => remark.Contains("whose prompt alone fills 128 tokens", StringComparison.Ordinal) && remark.Contains("row 1", StringComparison.Ordinal));

        var strict = Sft(rows, maxTokens: 128, truncate: false);
        Assert.Equal((1, 1, 0), (strict.Metrics["data/rows"], strict.Metrics["data/dropped_too_long"], strict.Metrics["data/trunc_ratio"]));
        Assert.Throws<UserErrorException>(() => Sft(rows, maxTokens: 1024));
    }

    [DataFact]
    public void Pairs_of_the_real_files_longer_than_the_context_are_dropped_and_counted_never_cut()
    {
        var files = new[] { TestData.PathOf("instruct", "dpo_en_demo.json"), TestData.PathOf("instruct", "dpo_zh_demo.json") };
        var source = Create(Node(), new PreferenceBatchOptions { Model = "policy", Files = files, BatchSize = 16 });
        var total = source.Metrics["data/rows"] + source.Metrics["data/held_out_rows"] + source.Metrics.Where(metric => metric.Key.StartsWith("data/dropped_", StringComparison.Ordinal)).Sum(metric => metric.Value);
        Assert.Equal(600, total);
        Assert.True(source.Metrics["data/dropped_too_long"] > 400, $"{source.Metrics["data/dropped_too_long"]}");
        Assert.True(source.Metrics["data/rows"] > 20, $"{source.Metrics["data/rows"]}");
        Assert.Contains(source.Remarks, remark => remark.Contains("longer than 512 tokens on one side", StringComparison.Ordinal));
        for (var iteration = 1L; iteration <= source.Iterations; iteration++)
            CheckPairs(source.Take(iteration, 2));
        CheckPairs(source.HeldOut);
    }

    [DataFact]
    public void Equal_answers_of_a_pair_are_dropped_and_only_the_last_answer_is_a_target()
    {
        var file = _folder.Write("pairs.jsonl", """
            {"conversations":[{"from":"human","value":"A"},{"from":"gpt","value":"B"},{"from":"human","value":"C"}],"chosen":{"from":"gpt","value":"good"},"rejected":{"from":"gpt","value":"bad"}}
            {"prompt":"Q","chosen":"same","rejected":"same"}
            """);
        var source = Create(Node(), new PreferenceBatchOptions { Model = "policy", Files = [file], HeldOut = 0 });
        // The first row decides the shape; the second has another and is fine all the same.
        Assert.Equal((1, 1, 0), (source.Metrics["data/rows"], source.Metrics["data/dropped_equal"], source.Metrics["data/dropped_malformed"]));
        Assert.Equal(Targets("good", "bad"), TargetsOf(source.Take(1, 1)[0]));
        file = _folder.Write("equal.jsonl", """
            {"prompt":"Q","chosen":"same","rejected":"same"}
            {"prompt":"Q","chosen":"good","rejected":"bad"}
            """);
        source = Create(Node(), new PreferenceBatchOptions { Model = "policy", Files = [file], HeldOut = 0 });
        Assert.Equal(1, source.Metrics["data/dropped_equal"]);

        Assert.Equal(Targets("good", "bad"), TargetsOf(source.Take(1, 1)[0]));
    }

    [DataFact]
    public void The_same_prompts_are_held_out_in_every_stage()
    {
        var files = new[] { TestData.PathOf("instruct", "alpaca_en_demo.json") };
        var node = Node();
        var prompts = node.Create(new PluginChoice<IPromptSource>("prompt-source", new PromptSourceOptions { Files = files, MaxPromptTokens = 400 }));
        var held = prompts.Take(new BatchId(0, 0, BatchPurpose.Evaluate), 0, prompts.HeldOutPrompts, 1);
        var sft = _instruct.Value;
        var training = Enumerable.Range(1, (int)sft.Iterations / 2).SelectMany(i => Rows(sft.Take(i, 1)[0])).ToArray();
        for (var row = 0; row < held.Tokens.Rows; row++)
            Assert.DoesNotContain(training, ids => ids.StartsWith(string.Join(' ', held.Tokens[row].ToArray()) + " ", StringComparison.Ordinal));
    }

    [DataFact]
    public void Grouping_by_length_saves_padding()
    {
        var options = new SftBatchOptions { Files = [TestData.PathOf("instruct", "alpaca_en_demo.json")] };
        var grouped = Create(Node(), options).Metrics["data/pad_ratio"];
        var mixed = Create(Node(), options with { GroupByLength = false }).Metrics["data/pad_ratio"];
        Assert.True(grouped < mixed / 3, $"{grouped} against {mixed}");
    }

    [DataFact]
    public void Plain_text_is_learned_whole_for_pretraining()
    {
        var source = Create(Node(), new SftBatchOptions { Files = [TestData.PathOf("text", "tinystories.txt")], MaxTokens = 256 });
        var batch = source.Take(1, 1)[0];
        for (var row = 0; row < batch.Rows; row++)
        {
            Assert.Equal(1, batch.Tokens[row].Span[0]);
            Assert.False(batch.IsTarget[row].Span[0]);
            Assert.DoesNotContain(false, batch.IsTarget[row].ToArray()[1..]);
        }
    }

    [DataFact]
    public void Resuming_on_other_data_is_refused()
    {
        var state = new MemoryState();
        _instruct.Value.Capture(state);
        Instruct().Restore(state);
        var other = Create(Node(), new SftBatchOptions { Files = [TestData.PathOf("instruct", "alpaca_zh_demo.json")], Epochs = 2 });
        Assert.Contains("differ", Assert.Throws<UserErrorException>(() => other.Restore(state)).Message, StringComparison.Ordinal);
    }

    private static int[] Targets(params string[] answers) =>
        [.. answers.SelectMany(answer => Node().TextOf("policy").Tokenizer.EncodeContinuation(answer).Append(1))];

    private static int[] TargetsOf(Experience batch) =>
        [.. Enumerable.Range(0, batch.Tokens.Values.Length).Where(i => batch.IsTarget.Values.Span[i]).Select(i => batch.Tokens.Values.Span[i])];

    private static void CheckPairs(IReadOnlyList<Experience> batches)
    {
        foreach (var batch in batches)
        {
            var pairs = batch.Columns[ExperienceColumns.Pair];
            Assert.Equal(0, batch.Rows % 2);
            for (var row = 0; row < batch.Rows; row += 2)
            {
                Assert.Equal(pairs[row].Span[0], pairs[row + 1].Span[0]);
                Assert.False(batch.Tokens[row].Span.SequenceEqual(batch.Tokens[row + 1].Span));
                Assert.InRange(batch.Tokens.LengthOf(row), 2, 512);
                Assert.InRange(batch.Tokens.LengthOf(row + 1), 2, 512);
                Assert.True(batch.IsTarget[row].Span[^1]);
                Assert.Contains(batch.Tokens[row].Span[^1], new[] { 1, 2 });
            }
        }
    }

    private static TextNode Node() => new(TestData.PathOf("stories260K"));

    private static IBatchSource Instruct() =>
        Create(Node(), new SftBatchOptions { Files = [TestData.PathOf("instruct", "alpaca_en_demo.json")], Epochs = 2 });

    private static IBatchSource Create(TextNode node, BatchOptions options) =>
        node.Create(new PluginChoice<IBatchSource>(options is SftBatchOptions ? "sft-batches" : "preference-batches", options));

    private IBatchSource Sft(string content, int maxTokens = 0, bool truncate = true) =>
        Create(Node(), new SftBatchOptions { Files = [_folder.Write("sft.jsonl", content)], HeldOut = 0, MaxTokens = maxTokens, Truncate = truncate });

    private static string[] Rows(Experience batch) =>
        [.. Enumerable.Range(0, batch.Rows).Select(row => string.Join(' ', batch.Tokens[row].ToArray()))];
}
