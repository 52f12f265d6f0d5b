using ColossalChat.Contracts;
using ColossalChat.Text;
using ColossalChat.UnitTests.Rlhf.Support;
using Xunit;

namespace ColossalChat.UnitTests.Text;

[Trait("Category", "CI")]
public sealed class PromptSourceTests
{
    private static readonly StagePlan Plan = new()
    {
        Flow = FlowKind.Online,
        ModelsTrained = ["policy"],
        DefaultRoles = new Dictionary<string, string>(),
        PromptsPerIteration = 64,
    };

    [DataFact]
    public void Equal_arguments_give_equal_batches_in_any_order_and_after_a_restart()
    {
        var (first, second) = (Stories(), Stories());
        var later = second.Take(new BatchId(9, 0), 0, 16, 2);
        foreach (var iteration in new long[] { 1, 9, 3 })
            Assert.Equal(Flat(first.Take(new BatchId(iteration, 0), 0, 16, 2)), Flat(second.Take(new BatchId(iteration, 0), 0, 16, 2)));
        Assert.Equal(Flat(later), Flat(first.Take(new BatchId(9, 0), 0, 16, 2)));
        Assert.NotEqual(Flat(later), Flat(first.Take(new BatchId(8, 0), 0, 16, 2)));
        Assert.NotEqual(Flat(later), Flat(Stories(seed: 2).Take(new BatchId(9, 0), 0, 16, 2)));
    }

    [DataFact]
    public void Rows_of_one_prompt_stand_side_by_side_and_begin_with_BOS()
    {
        var batch = Stories().Take(new BatchId(1, 0), 0, 8, 3);
        Assert.Equal(24, batch.Tokens.Rows);
        Assert.Equal([0, 1, 2, 0, 1, 2], batch.SampleIndexes.Take(6));
        for (var row = 0; row < 24; row++)
        {
            Assert.Equal(batch.PromptIds[row - (row % 3)], batch.PromptIds[row]);
            Assert.Equal(1, batch.Tokens[row].Span[0]);
        }
    }

    [DataFact]
    public void Two_places_of_one_prompt_in_an_iteration_draw_from_different_numbers()
    {
        var batch = Stories().Take(new BatchId(1, 0), 0, 4000, 2);
        var places = batch.PromptIds.Zip(batch.SampleIndexes).ToArray();
        Assert.True(batch.PromptIds.Distinct().Count() < 4000, "More places than prompts, or the test shows nothing.");
        Assert.Equal(places.Length, places.Distinct().Count());
    }

    [DataFact]
    public void An_epoch_uses_every_prompt_once()
    {
        var source = Stories();
        var all = new List<long>();
        for (var iteration = 1; iteration <= 40; iteration++)
            for (var first = 0; first < 64; first += 16)
                all.AddRange(source.Take(new BatchId(iteration, first / 16), first, 16, 1).PromptIds);
        var count = all.TakeWhile((id, i) => all.IndexOf(id) == i).Count();
        Assert.Equal(all.Distinct().Count(), count);
        Assert.Equal(count, all.Skip(count).Take(count).Distinct().Count());
        Assert.False(all.Take(count).SequenceEqual(all.Skip(count).Take(count)));
    }

    [DataFact]
    public void Held_out_prompts_come_in_file_order_and_never_in_training()
    {
        var source = Stories();
        Assert.InRange(source.HeldOutPrompts, 40, 200);
        var held = source.Take(new BatchId(0, 0, BatchPurpose.Evaluate), 0, source.HeldOutPrompts, 1);
        Assert.Equal(held.PromptIds.Order(), held.PromptIds);
        Assert.Equal(Flat(held), Flat(source.Take(new BatchId(5, 0, BatchPurpose.Evaluate), 0, source.HeldOutPrompts, 1)));
        var training = source.Take(new BatchId(1, 0), 0, 4000, 1);
        var texts = Enumerable.Range(0, held.Tokens.Rows).Select(row => string.Join(' ', held.Tokens[row].ToArray())).ToHashSet();
        Assert.Equal(held.Tokens.Rows, texts.Count);
        Assert.DoesNotContain(Enumerable.Range(0, 4000), row => texts.Contains(string.Join(' ', training.Tokens[row].ToArray())));
    }

    [DataFact]
    public void Story_prompts_are_the_first_words_of_paragraphs()
    {
        var node = Node();
        var batch = Source(node, Options() with { BeginningWords = 4 }).Take(new BatchId(1, 0), 0, 50, 1);
        for (var row = 0; row < 50; row++)
            Assert.Equal(4, node.TextOf("policy").Tokenizer.Decode(batch.Tokens[row].ToArray()).Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [DataFact]
    public void A_held_out_count_is_taken_as_it_is_and_rows_added_later_move_none()
    {
        using var folder = new TempFolder();
        var rows = Enumerable.Range(0, 100).Select(i => $$"""{"prompt":"question {{i}}","answer":"{{i}}"}""").ToArray();
        var file = folder.Write("prompts.jsonl", string.Join('\n', rows));
        var options = new PromptSourceOptions { Files = [file], HeldOut = 20 };
        Assert.Equal(20, Source(Node(), options).HeldOutPrompts);

        string[] HeldOut() => [.. Source(Node(), options with { HeldOut = 0.3 }) is var source
            ? source.Take(new BatchId(0, 0, BatchPurpose.Evaluate), 0, source.HeldOutPrompts, 1).DataJson
            : []];
        var before = HeldOut();
        folder.Write("prompts.jsonl", "{\"prompt\":\"new\"}\n" + string.Join('\n', rows));
        Assert.Equal(before, HeldOut().Where(json => json != "{}"));
        Assert.Contains("answer", before[0], StringComparison.Ordinal);
    }

    [DataFact]
    public void Prompts_that_are_too_long_are_left_out_and_counted()
    {
        using var folder = new TempFolder();
        var file = folder.Write("prompts.jsonl", "{\"prompt\":\"short\"}\n{\"prompt\":\"" + new string('q', 300) + "\"}\n{\"prompt\":5}");
        var node = Node();
        var source = Source(node, new PromptSourceOptions { Files = [file], HeldOut = 0 });
        Assert.Equal(0, source.HeldOutPrompts);
        Assert.Contains(node.Lines, line => line.Contains("Left out 1 row, longer than 256 tokens", StringComparison.Ordinal) && line.Contains("row 2", StringComparison.Ordinal));
        Assert.Contains(node.Lines, line => line.Contains("malformed", StringComparison.Ordinal) && line.Contains("row 3", StringComparison.Ordinal));
        Assert.Throws<UserErrorException>(() => source.Take(new BatchId(0, 0, BatchPurpose.Evaluate), 0, 1, 1));
    }

    [DataFact]
    public void Prompts_that_leave_the_model_no_token_for_an_answer_are_left_out_and_counted()
    {
        using var folder = new TempFolder();
        var file = folder.Write("prompts.jsonl", "{\"prompt\":\"short\"}\n{\"prompt\":\"" + new string('q', 600) + "\"}");
        var node = Node();
        var source = Source(node, new PromptSourceOptions { Files = [file], HeldOut = 0, MaxPromptTokens = 4096 });
        Assert.Equal([0L, 0], source.Take(new BatchId(1, 0), 0, 2, 1).PromptIds);
        Assert.Contains(node.Lines, line => line.Contains("Left out 1 row, too long to leave room for an answer in the model's 512 tokens", StringComparison.Ordinal) && line.Contains("row 2", StringComparison.Ordinal));
    }

    [DataFact]
    public void Resuming_on_other_data_is_refused()
    {
        var state = new MemoryState();
        Stories().Capture(state);
        Stories().Restore(state);
        Assert.Throws<UserErrorException>(() => Stories(seed: 2).Restore(state));
        Assert.Throws<UserErrorException>(() => Source(Node(), Options() with { MaxPromptTokens = 100, BeginningWords = 5 }).Restore(state));
    }

    private static TextNode Node(ulong seed = 1) => new(TestData.PathOf("stories260K")) { Seed = seed };

    private static PromptSourceOptions Options() => new() { Files = [TestData.PathOf("text", "tinystories.txt")], BeginningWords = 8 };

    private static IPromptSource Stories(ulong seed = 1) => Source(Node(seed), Options());

    private static IPromptSource Source(TextNode node, PromptSourceOptions options)
    {
        var source = node.Create(new PluginChoice<IPromptSource>("prompt-source", options));
        source.Begin(Plan);
        return source;
    }

    private static string Flat(PromptBatch batch) =>
        $"{string.Join(' ', batch.Tokens.Values.ToArray())} {string.Join(' ', batch.PromptIds)} {string.Join(' ', batch.SampleIndexes)} {string.Join(' ', batch.DataJson)}";
}
