using System.Text;
using ColossalChat.Contracts;
using ColossalChat.Text;
using CsCheck;
using Xunit;

namespace ColossalChat.UnitTests.Text;

[Trait("Category", "CI")]
public sealed class DatasetTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Alpaca_rows_keep_instruction_and_input_apart_and_other_fields()
    {
        var row = Assert.Single(Load("""[{ "instruction": "Sort.", "input": "3 1", "output": "1 3", "id": 7, "lang": "en" }]""").Rows);
        var message = Assert.Single(row.Prompt);
        Assert.Equal(("Sort.", "3 1", "Sort.\n3 1"), (message.Content, message.Input, message.Text));
        Assert.Equal(("1 3", """{"id":7,"lang":"en"}"""), (row.Answer, row.FieldsJson));
        Assert.Null(Assert.Single(Load("""{"prompt":"Q","completion":"A"}""").Rows[0].Prompt).Input);
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"system","content":"S"},{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}""")]
    [InlineData("""{"conversations":[{"from":"system","value":"S"},{"from":"human","value":"Q"},{"from":"gpt","value":"A"}]}""")]
    [InlineData("""{"messages":[{"from":"user","content":"Q"},{"from":"assistant","content":"A"}],"system":"S"}""")]
    [InlineData("""{"instruction":"Q","output":"A","system":"S"}""")]
    public void Conversations_of_every_spelling_are_one_thing(string json)
    {
        var row = Assert.Single(Load(json).Rows);
        Assert.Equal([new(ChatRole.System, "S"), new(ChatRole.User, "Q")], row.Prompt);
        Assert.Equal("A", row.Answer);
    }

    [Theory]
    [InlineData("""{"conversations":[{"from":"human","value":"Q"}],"chosen":{"from":"gpt","value":"good"},"rejected":{"from":"gpt","value":"bad"}}""")]
    [InlineData("""{"prompt":"Q","chosen":"good","rejected":"bad"}""")]
    [InlineData("""{"prompt":[{"role":"user","content":"Q"}],"chosen":[{"role":"assistant","content":"good"}],"rejected":"bad"}""")]
    [InlineData("""{"context":[{"from":"user","content":"Q"}],"chosen":[{"from":"assistant","content":"good"}],"rejected":[{"from":"assistant","content":"bad"}]}""")]
    [InlineData("""{"chosen":[{"role":"user","content":"Q"},{"role":"assistant","content":"good"}],"rejected":[{"role":"user","content":"Q"},{"role":"assistant","content":"bad"}]}""")]
    public void Preference_pairs_of_every_shape_are_one_thing(string json)
    {
        var row = Assert.Single(Load(json).Rows);
        Assert.Equal([new(ChatRole.User, "Q")], row.Prompt);
        Assert.Equal(("good", "bad"), (row.Answer, row.Rejected));
    }

    [Theory]
    [InlineData("""{"prompt":"Q","answer":"4","language":"zh"}""", """{"answer":"4","language":"zh"}""")]
    [InlineData("""{"messages":{"role":"user","content":"Q"},"gt_answer":"4"}""", """{"gt_answer":"4"}""")]
    [InlineData("""{"instruction":"Q","task":"数学"}""", """{"task":"数学"}""")]
    public void Prompt_sets_keep_all_other_fields(string json, string fields)
    {
        var row = Assert.Single(Load(json).Rows);
        Assert.Equal([new(ChatRole.User, "Q")], row.Prompt);
        Assert.Null(row.Answer);
        Assert.Equal(fields, row.FieldsJson);
    }

    [Fact]
    public void Plain_text_is_cut_into_paragraphs_at_blank_lines()
    {
        var rows = Load("\uFEFFOne\r\ntwo\r\n\r\n \t\r\nthree\n\n\n[four]", "story.txt").Rows;
        Assert.Equal(["One\ntwo", "three", "[four]"], rows.Select(row => row.Answer));
        Assert.Equal([1, 2, 3], rows.Select(row => row.Row));
        Assert.All(rows, row => Assert.Empty(row.Prompt));
        Assert.Equal("x", Load("""{"text":"x"}""").Rows[0].Answer);
    }

    [Theory]
    [InlineData("""{"instruction":"a","output":5}""", "field 'output' is a number; it must be a text")]
    [InlineData("""{"instruction":"a","output":""}""", "field 'output' is empty")]
    [InlineData("""{"instruction":"a"}""", "field 'output' is missing")]
    [InlineData("""{"instruction":"a","output":"b","output":"c"}""", "not valid JSON")]
    [InlineData("""{"instruction":"a","output":"b" """, "not valid JSON")]
    [InlineData("""["a"]""", "the row is a list")]
    [InlineData("""{"instruction":"a","output":"\ud800"}""", "not valid UTF-8")]
    [InlineData("""{"instruction":"a","output":"b","history":["x"]}""", "field 'history' must be a list")]
    public void A_malformed_row_is_counted_with_file_and_row_number_or_fatal(string bad, string message)
    {
        var content = $$"""{"instruction":"q","output":"r"}""" + "\r\n\r\n" + bad + "\r\n" + """{"instruction":"q2","output":"r2"}""";
        var dataset = Load(content);
        Assert.Equal(2, dataset.Rows.Count);
        var problem = Assert.Single(dataset.Problems);
        Assert.Equal(3, problem.Row);
        Assert.EndsWith("data.jsonl", problem.File, StringComparison.Ordinal);
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);

        var fatal = Assert.Throws<UserErrorException>(() => Load(content, onBadRow: BadRows.Fail));
        Assert.Contains("data.jsonl, row 3: ", fatal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"assistant","content":"x"}]}""", "user and assistant must take turns")]
    [InlineData("""{"messages":[{"role":"tool","content":"x"}]}""", "role 'tool'")]
    [InlineData("""{"messages":[{"role":"user","content":7}]}""", "is a number")]
    [InlineData("""{"messages":[{"role":"user","content":" "}]}""", "is empty")]
    [InlineData("""{"messages":[]}""", "has no turns")]
    [InlineData("""{"prompt":"a","chosen":"b","rejected":3}""", "field 'rejected' is a number")]
    [InlineData("""{"chosen":"b","rejected":"c"}""", "there is no prompt")]
    [InlineData("""{"weight":3}""", "of no known shape")]
    public void A_row_of_the_wrong_shape_says_what_is_wrong(string json, string message) =>
        Assert.Contains(message, Assert.Single(Load(json).Problems).Message, StringComparison.Ordinal);

    [Fact]
    public void A_broken_list_gives_the_rows_before_the_break()
    {
        var dataset = Load("""[{"prompt":"a"},{"prompt":"b"},{"prompt" "c"}]""", "data.json");
        Assert.Equal(2, dataset.Rows.Count);
        Assert.Equal(3, Assert.Single(dataset.Problems).Row);
    }

    [Fact]
    public void A_byte_order_mark_bad_bytes_and_huge_rows_are_handled()
    {
        var file = Path.Combine(_folder.FullName, "bytes.jsonl");
        var huge = new string('x', 3_000_000);
        byte[] bytes = [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes($$"""{"prompt":"{{huge}}"}"""), (byte)'\n', .. "{\"prompt\":\""u8, 0xFF, .. "\"}\n"u8];
        File.WriteAllBytes(file, bytes);
        var dataset = Dataset(new FileDatasetOptions { Files = [file] });
        Assert.Equal(huge, Assert.Single(dataset.Rows).Prompt[0].Content);
        Assert.Equal(2, Assert.Single(dataset.Problems).Row);
    }

    [Fact]
    public void Lines_cut_at_any_place_of_the_buffer_stay_whole()
    {
        Gen.String[Gen.Char["ab\"你"], 0, 40].Array[1, 30].Sample(
            texts =>
            {
                var lines = texts.Select(text => System.Text.Json.JsonSerializer.Serialize(new { prompt = "p" + text, pad = new string('z', 4000) }));
                var rows = Load(string.Join('\n', lines)).Rows;
                Assert.Equal(texts.Select(text => "p" + text), rows.Select(row => row.Prompt[0].Content));
            },
            iter: 20,
            threads: 1);
    }

    [Fact]
    public void A_missing_file_and_wrong_settings_are_named()
    {
        Assert.Contains("no-such.jsonl", Assert.Throws<UserErrorException>(() => Dataset(new FileDatasetOptions { Files = ["no-such.jsonl"] })).Message, StringComparison.Ordinal);
        Assert.Contains("files is empty", Assert.Single(new FileDatasetOptions().Problems()), StringComparison.Ordinal);
        string[] none = [];
        Assert.Equal(none, new SftBatchOptions { Files = ["a"], HeldOut = 20 }.Problems());
        Assert.Contains("held-out is 1.5", Assert.Single(new SftBatchOptions { Files = ["a"], HeldOut = 1.5 }.Problems()), StringComparison.Ordinal);
    }

    [DataTheory]
    [InlineData("alpaca_en_demo.json", 999)]
    [InlineData("alpaca_zh_demo.json", 1000)]
    [InlineData("dpo_en_demo.json", 300)]
    [InlineData("dpo_zh_demo.json", 300)]
    public void Real_files_have_the_rows_they_are_said_to_have(string file, int rows)
    {
        var dataset = Dataset(new FileDatasetOptions { Files = [TestData.PathOf("instruct", file)] });
        Assert.Equal(rows, dataset.Rows.Count + dataset.Problems.Count);
        Assert.True(dataset.Problems.Count <= rows / 50, string.Join('\n', dataset.Problems));
    }

    private static IDataset Dataset(FileDatasetOptions options) => new TextNode().Create(new PluginChoice<IDataset>("files", options));

    private IDataset Load(string content, string name = "data.jsonl", BadRows onBadRow = BadRows.Skip) =>
        Dataset(new FileDatasetOptions { Files = [_folder.Write(name, content)], OnBadRow = onBadRow });
}
