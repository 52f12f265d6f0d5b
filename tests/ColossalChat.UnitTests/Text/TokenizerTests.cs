using System.Text;
using System.Text.Json;
using ColossalChat.Contracts;
using CsCheck;
using Xunit;

namespace ColossalChat.UnitTests.Text;

[Trait("Category", "CI")]
public sealed class TokenizerTests
{
    private static readonly string[] Corpus =
    [
        "", "Hello world", " leading and trailing ", "a  b   c    d", "tab\tnew\nline\r\nend", "\n\n\n", " ", "   ",
        "你好，世界！今天天气怎么样？", "混合 English 和中文 text", "👩‍👩‍👧‍👦 emoji 🎉🚀 é ñ ü", "Ünïcödé ẞ ﬁ", "こんにちは 안녕하세요 Привет שלום مرحبا",
        "<s></s><unk><|endoftext|><|im_start|>user", "def f(x):\n    return x ** 2  # 平方", "1234567890 3.14159 -7", "\u0000\u0001\u007f", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u200b zero width",
    ];

    // What a tokenizer may take for something else: its own marks and special tokens, white space of every kind, characters
    // beyond the first plane beside letters and signs.
    private static readonly string[] Odd =
    [
        "<0x0A> <0xE4><0xBD>", "<unk> <pad> [INST] x [/INST] <<SYS>>", "<|im_end|>\n<|im_start|>assistant", "▁▁ a ▁b", " <s> </s>", "Ġhello Ċ",
        "                    twenty spaces", "a\t\t b \n \n  c\r\n\r\n", "end with spaces   ", "\u3000全角　空格\u00a0nbsp\u2003em", "x\u0085y\u2028z\u200b",
        "I'm you're they've he'll she'd it's can't 'sup O'Neil's IT'S", "don\u2019t", "3.14e-10, 1,000,000; ½ ² Ⅷ ٣٤٥ 三百", "a𝔘b 𝔘! x𝟙𝟚 𠀀好𠀀! 𓀀", "e\u0301 n\u0303o",
        "🏳️‍🌈🇨🇳👍🏽!!! 😀😀😀 ok😀ok 1️⃣", "ไทย हिन्दी ქართული ʼn ß İı", "\u0000\u001f\u0080\ufffd\ufeff", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "=====-----_____......!!!!!",
        "https://example.org/a_b?c=d&e=%20#f", "{\"键\": [1, 2.5, null]}\n", "\\n \\u4f60 C:\\路径",
    ];

    private static TextModel Stories => TextNode.Open(TestData.PathOf("stories260K"));

    [DataFact]
    public void Ids_and_text_equal_the_golden_ones_of_stories260K()
    {
        var tokenizer = Stories.Tokenizer;
        using var golden = JsonDocument.Parse(File.ReadAllText(TestData.PathOf("stories260K", "golden.json")));
        foreach (var entry in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            var prompt = Ids(entry, "prompt_ids");
            Assert.Equal(prompt, tokenizer.EncodeDocument(entry.GetProperty("prompt").GetString()!));
            Assert.Equal(entry.GetProperty("greedy_text").GetString(), tokenizer.Decode(prompt.Concat(Ids(entry, "greedy_ids"))));
        }
    }

    [DataFact]
    public void Special_ids_come_from_the_configuration_of_stories260K()
    {
        var tokenizer = Stories.Tokenizer;
        Assert.Equal(1, tokenizer.BosId);
        Assert.Equal([1, 2], tokenizer.EosIds);
        Assert.Equal(512, tokenizer.VocabularySize);
        Assert.Equal("plain", Stories.Template.Name);
        Assert.Equal(tokenizer.Hash, Stories.Tokenizer.Hash);
        Assert.NotEqual(tokenizer.Hash, Llama2().Tokenizer.Hash);
    }

    [DataFact]
    public void Llama2_and_gpt2_and_stories_give_every_text_back()
    {
        foreach (var tokenizer in new[] { Llama2().Tokenizer, Gpt2().Tokenizer, Stories.Tokenizer })
        {
            foreach (var text in Corpus)
            {
                Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
                var joined = tokenizer.Encode("Once").Concat(tokenizer.EncodeContinuation(text));
                Assert.Equal("Once" + text, tokenizer.Decode(joined));
            }
        }

        // SentencePiece's own mark for a space cannot be told from a space.
        Assert.Equal("a b", Llama2().Tokenizer.Decode(Llama2().Tokenizer.Encode("a\u2581b")));
    }

    [DataFact]
    public void Ids_equal_those_of_a_naive_implementation_on_every_text()
    {
        var stories = new NaiveSentencePiece(File.ReadAllBytes(TestData.PathOf("stories260K", "tokenizer.model")));
        var llama2 = new NaiveSentencePiece(File.ReadAllBytes(TestData.PathOf("tokenizers", "llama2", "tokenizer.model")));
        var gpt2 = new NaiveByteLevel(
            File.ReadAllText(TestData.PathOf("tokenizers", "gpt2", "vocab.json")), File.ReadLines(TestData.PathOf("tokenizers", "gpt2", "merges.txt")));
        foreach (var text in Corpus.Concat(Odd).Concat(RealTexts()))
        {
            foreach (var (naive, tokenizer) in new[] { (stories, Stories.Tokenizer), (llama2, Llama2().Tokenizer) })
            {
                AssertSame(text, naive.Encode(text), tokenizer.Encode(text));
                AssertSame(text, naive.Encode(text, continues: true), tokenizer.EncodeContinuation(text));
            }

            AssertSame(text, gpt2.Encode(text), Gpt2().Tokenizer.Encode(text));
        }
    }

    [DataFact]
    public void Ids_equal_those_of_a_naive_implementation_on_random_text()
    {
        var llama2 = new NaiveSentencePiece(File.ReadAllBytes(TestData.PathOf("tokenizers", "llama2", "tokenizer.model")));
        var gpt2 = new NaiveByteLevel(
            File.ReadAllText(TestData.PathOf("tokenizers", "gpt2", "vocab.json")), File.ReadLines(TestData.PathOf("tokenizers", "gpt2", "merges.txt")));
        // Scraps of the corpus in any order: breaks fall in the middle of words, marks and characters of several code units.
        var scraps = Corpus.Concat(Odd).SelectMany(text => text.EnumerateRunes().Chunk(3)).Select(runes => string.Concat(runes.Select(rune => rune.ToString()))).ToArray();
        Gen.Int[0, scraps.Length - 1].Array[1, 12].Sample(
            picks =>
            {
                var text = string.Concat(picks.Select(pick => scraps[pick]));
                AssertSame(text, llama2.Encode(text), Llama2().Tokenizer.Encode(text));
                AssertSame(text, gpt2.Encode(text), Gpt2().Tokenizer.Encode(text));
            },
            iter: 2_000);
    }

    [DataFact]
    public void Llama2_gives_the_ids_its_authors_publish()
    {
        var tokenizer = Llama2().Tokenizer;
        Assert.Equal([1, 15043, 3186], tokenizer.EncodeDocument("Hello world"));
        Assert.Equal([1], tokenizer.EncodeDocument(""));
        Assert.Equal(tokenizer.Encode("world"), tokenizer.EncodeContinuation(" world"));
    }

    [DataFact]
    public void Gpt2_gives_the_published_ids_and_ends_with_endoftext()
    {
        var tokenizer = Gpt2().Tokenizer;
        Assert.Equal([15496, 995], tokenizer.Encode("Hello world"));
        Assert.Null(tokenizer.BosId);
        Assert.Equal([50256], tokenizer.EosIds);
        Assert.DoesNotContain(50256, tokenizer.Encode("a<|endoftext|>b"));
        Assert.Equal("a", tokenizer.Decode([64, 50256]));
        Assert.Equal("a<|endoftext|>", tokenizer.Decode([64, 50256], withSpecial: true));
    }

    [DataFact]
    public void Special_tokens_in_text_stay_plain_characters()
    {
        foreach (var tokenizer in new[] { Llama2().Tokenizer, Gpt2().Tokenizer, Stories.Tokenizer })
            foreach (var (text, id) in tokenizer.SpecialTokens)
                Assert.DoesNotContain(id, tokenizer.Encode($"x{text}y {text}"));
    }

    [DataFact]
    public void A_stream_gives_the_same_text_as_the_whole_and_never_half_a_character()
    {
        foreach (var tokenizer in new[] { Llama2().Tokenizer, Gpt2().Tokenizer, Stories.Tokenizer })
        {
            Gen.Int[0, tokenizer.VocabularySize - 1].Array[0, 40].Sample(
                ids =>
                {
                    var stream = tokenizer.NewStream();
                    Assert.Equal(tokenizer.Decode(ids), string.Concat(ids.Select(stream.Add)) + stream.Finish());
                },
                iter: 300);
            Gen.String[0, 30].Sample(
                text =>
                {
                    // Lone surrogates have no bytes; each becomes U+FFFD.
                    var whole = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)).Replace('\u2581', ' ');
                    var stream = tokenizer.NewStream();
                    var parts = tokenizer.Encode(whole).Select(stream.Add).ToArray();
                    Assert.All(parts, part => Assert.True(!part.Contains('\uFFFD') || whole.Contains('\uFFFD')));
                    Assert.Equal(whole, string.Concat(parts) + stream.Finish());
                },
                iter: 300);
        }
    }

    [DataFact]
    public void Half_a_character_is_held_back_and_shown_as_missing_at_the_end()
    {
        var tokenizer = Stories.Tokenizer;
        var ids = tokenizer.EncodeContinuation("好");
        Assert.Equal(3, ids.Count);
        var stream = tokenizer.NewStream();
        Assert.Equal("", stream.Add(ids[0]));
        Assert.Equal("", stream.Add(ids[1]));
        Assert.Equal("\uFFFD", stream.Finish());
        Assert.Equal("\uFFFD", tokenizer.Decode(ids.Take(2)));
    }

    [DataFact]
    public void A_tokenizer_json_of_the_byte_level_kind_equals_the_pair_of_files()
    {
        using var folder = new TempFolder();
        var vocab = File.ReadAllText(TestData.PathOf("tokenizers", "gpt2", "vocab.json"));
        var merges = File.ReadAllLines(TestData.PathOf("tokenizers", "gpt2", "merges.txt"));
        folder.Write("tokenizer.json", $$"""
            { "model": { "type": "BPE", "vocab": {{vocab}}, "merges": {{JsonSerializer.Serialize(merges.Where(line => line.Length > 0))}} },
              "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "use_regex": true },
              "added_tokens": [{ "id": 50256, "content": "<|endoftext|>", "special": true }] }
            """);
        var tokenizer = TextNode.Open(folder.FullName).Tokenizer;
        var pair = Gpt2().Tokenizer;
        Assert.All(Corpus, text => Assert.Equal(pair.Encode(text), tokenizer.Encode(text)));
        Assert.Equal(pair.Hash, tokenizer.Hash);
    }

    [DataFact]
    public void A_tokenizer_json_with_byte_fallback_equals_the_sentencepiece_file()
    {
        using var folder = new TempFolder();
        var model = SentencePieceJson.Of(File.ReadAllBytes(TestData.PathOf("stories260K", "tokenizer.model")));
        folder.Write("tokenizer.json", model);
        folder.Copy(TestData.PathOf("stories260K", "config.json"));
        var tokenizer = TextNode.Open(folder.FullName).Tokenizer;
        Assert.All(Corpus, text => Assert.Equal(Stories.Tokenizer.EncodeDocument(text), tokenizer.EncodeDocument(text)));
        Assert.All(Corpus, text => Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text))));
        Assert.Equal([1, 2], tokenizer.EosIds);
    }

    [Theory]
    [InlineData("""{ "model": { "type": "WordPiece" } }""", "WordPiece")]
    [InlineData("""{ "model": { "type": "Unigram" } }""", "Unigram")]
    [InlineData("""{ "model": { "type": "BPE", "vocab": {"a": 0}, "merges": [] }, "pre_tokenizer": { "type": "Whitespace" } }""", "Whitespace")]
    [InlineData("""{ "model": { "type": "BPE" """, "not valid JSON")]
    public void A_tokenizer_json_of_another_kind_is_refused_by_name(string json, string named)
    {
        using var folder = new TempFolder();
        folder.Write("tokenizer.json", json);
        Assert.Contains(named, Assert.Throws<UserErrorException>(() => TextNode.Open(folder.FullName)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_broken_sentencepiece_file_is_an_error_that_names_it()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(Path.Combine(folder.FullName, "tokenizer.model"), [0x0A, 200, 1, 2, 3]);
        Assert.Contains("tokenizer.model", Assert.Throws<UserErrorException>(() => TextNode.Open(folder.FullName)).Message, StringComparison.Ordinal);
    }

    [DataFact]
    public void An_end_token_that_the_tokenizer_lacks_is_an_error()
    {
        using var folder = new TempFolder().Copy(TestData.PathOf("stories260K", "tokenizer.model"));
        folder.Write("config.json", """{ "eos_token_id": 9999 }""");
        Assert.Contains("9999", Assert.Throws<UserErrorException>(() => TextNode.Open(folder.FullName)).Message, StringComparison.Ordinal);
    }

    // Instructions and answers as they are trained on, in both languages, and a story.
    private static IEnumerable<string> RealTexts() => new[] { "alpaca_en_demo.json", "alpaca_zh_demo.json" }
        .SelectMany(file => JsonDocument.Parse(File.ReadAllBytes(TestData.PathOf("instruct", file))).RootElement.EnumerateArray().Take(60).ToArray())
        .SelectMany(row => new[] { row.GetProperty("instruction").GetString()!, row.GetProperty("output").GetString()! })
        .Append(string.Join('\n', File.ReadLines(TestData.PathOf("text", "tinystories.txt")).Take(20)))
        .Select(text => text.Length > 300 ? text[..300] : text);

    private static void AssertSame(string text, IReadOnlyList<int> expected, IReadOnlyList<int> actual) =>
        Assert.True(expected.SequenceEqual(actual), $"{JsonSerializer.Serialize(text)}\nreference {string.Join(' ', expected)}\nseen      {string.Join(' ', actual)}");

    internal static TextModel Llama2() => TextNode.Open(TestData.PathOf("tokenizers", "llama2"));

    internal static TextModel Gpt2() => TextNode.Open(TestData.PathOf("tokenizers", "gpt2"));

    private static int[] Ids(JsonElement entry, string name) => [.. entry.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}
