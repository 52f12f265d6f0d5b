using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using ColossalChat.Quickstart.Data;
using Microsoft.ML.Tokenizers;
using Xunit;

namespace ColossalChat.UnitTests.Quickstart;

[Trait("Category", "CI")]
public sealed class QuickstartDataTests : IDisposable
{
    private const ulong Key = 1;
    private static readonly QuickstartSeed Seed = QuickstartSeed.Load();

    // What the quickstart really trains on: all three files in full size.
    private static readonly Lazy<List<QuickstartRow>> FullTraining = new(() => TrainingRows(Key, new QuickstartSizes()));
    private static readonly QuickstartSizes Fewer = new() { Demonstrations = 6_000, Preferences = 2_000, Prompts = 2_000 };
    private readonly TaskGenerator _tasks = new(Seed, Key);
    private readonly AnswerChecker _checker = new(Seed);
    private readonly string _folder = Directory.CreateTempSubdirectory("quickstart").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static List<QuickstartRow> TrainingRows(ulong key, QuickstartSizes sizes) =>
    [
        .. new QuickstartFiles(Seed, key).Demonstrations(sizes.Demonstrations).Select(d => d.Row),
        .. new PreferenceGenerator(Seed, key).Train(sizes.Preferences).Select(p => p.Row),
        .. new TaskGenerator(Seed, key).Train("prompts", sizes.Prompts),
    ];

    // The whole lists: a word that no held-out row happens to use under this seed is reserved all the same.
    private static IEnumerable<string> Reserved(IEnumerable<LanguageSeed> languages) => languages
        .SelectMany(l => new[] { l.Names, l.Words, l.Spelled, l.Secrets, l.Harms })
        .SelectMany(split => split.HeldOut)
        .Concat(Seed.HeldOutNumbers.Select(n => n.ToString(CultureInfo.InvariantCulture)));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Held_out_operands_are_in_no_training_row(ulong key)
    {
        var heldOut = new TaskGenerator(Seed, key).HeldOut().ToList();
        var reserved = Reserved(Seed.Languages).Concat(heldOut.SelectMany(r => r.Operands)).Select(o => o.ToUpperInvariant()).ToHashSet();
        var trained = (key == Key ? FullTraining.Value : TrainingRows(key, Fewer)).SelectMany(r => r.Operands).Select(o => o.ToUpperInvariant()).ToHashSet();

        Assert.Empty(reserved.Intersect(trained));
        Assert.All(heldOut, row => Assert.NotEmpty(row.Operands));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Nothing_reserved_is_in_any_training_text_but_numbers_as_results_When_the_files_are_searched(ulong key)
    {
        // Does not trust the rows' operand lists: looks for everything reserved, however written, in all that training reads,
        // the answers too, better and worse. A number may be the result of others: 22+30 must be able to say 52.
        new QuickstartFiles(Seed, key).Write(_folder, key == Key ? new QuickstartSizes() : Fewer);
        var texts = new[] { "sft.jsonl", "preferences.jsonl", "prompts.jsonl" }
            .SelectMany(name => File.ReadLines(Path.Combine(_folder, name))).SelectMany(Texts).Distinct().ToList();
        var words = Reserved(Seed.Languages).Where(word => !char.IsAsciiDigit(word[0])).ToList();
        var english = words.Where(word => word.All(char.IsAscii)).ToList();
        english.AddRange(english.Where(word => word.All(char.IsAsciiLetterLower)).Select(word => string.Join(' ', word.ToCharArray())).ToList());
        var chinese = words.Where(word => !word.All(char.IsAscii)).ToList();
        var reserved = new Regex($"(?<![A-Za-z-])({string.Join('|', english.Select(Regex.Escape))})(?![A-Za-z-])", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Compiled);
        var inEnglish = Seed.HeldOutNumbers.Where(n => n > 20).Select(n => $"{Seed.English.Tens[(n / 10) - 1]}-{Seed.English.Digits[n % 10]}");
        var inChinese = Seed.HeldOutNumbers.Select(n => (n > 19 ? Seed.Chinese.Digits[n / 10] : "") + "十" + Seed.Chinese.Digits[n % 10]);
        var numbers = new Regex(
            $"(?<![A-Za-z-])({string.Join('|', inEnglish)})(?![A-Za-z-])|(?<![0-9])({string.Join('|', Seed.HeldOutNumbers)})(?![0-9])|(?<![一二三四五六七八九])({string.Join('|', inChinese)})",
            RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Compiled);

        Assert.True(texts.Count > (key == Key ? 40_000 : 4_000), $"Only {texts.Count} texts were searched.");
        Assert.Empty(texts.Where(text => reserved.IsMatch(text.Said) || chinese.Any(word => text.Said.Contains(word, StringComparison.Ordinal))).Take(20));
        Assert.Empty(texts.Where(text => !text.IsAnswer && numbers.IsMatch(text.Said)).Take(20));
        Assert.Contains(texts, text => text.IsAnswer && numbers.IsMatch(text.Said));
    }

    // What a row says, whoever says it: prompt, chosen, rejected, or the contents of its messages.
    private static List<(string Said, bool IsAnswer)> Texts(string line)
    {
        using var row = JsonDocument.Parse(line);
        var said = new List<(string, bool)>();
        foreach (var name in new[] { "prompt", "chosen", "rejected" })
            if (row.RootElement.TryGetProperty(name, out var text))
                said.Add((text.GetString()!, name != "prompt"));
        if (row.RootElement.TryGetProperty("messages", out var messages))
            said.AddRange(messages.EnumerateArray().Select(message => (message.GetProperty("content").GetString()!, message.GetProperty("from").GetString() == "assistant")));
        return said;
    }

    [Fact]
    public void Held_out_operands_all_come_from_the_reserved_lists()
    {
        foreach (var language in Seed.Languages)
        {
            var reserved = Reserved([language]).ToHashSet();
            Assert.All(_tasks.HeldOut().Where(r => r.Language == language.Language), row => Assert.Subset(reserved, row.Operands.ToHashSet()));
        }
    }

    [Fact]
    public void Seed_lists_do_not_share_words_between_train_and_held_out()
    {
        foreach (var language in Seed.Languages)
        {
            foreach (var split in new[] { language.Names, language.Words, language.Spelled, language.Secrets, language.Harms })
            {
                Assert.Empty(split.Train.Intersect(split.HeldOut, StringComparer.OrdinalIgnoreCase));
                Assert.Equal(split.HeldOut.Count, split.HeldOut.Distinct().Count());
            }
        }
    }

    [Fact]
    public void Held_out_prompts_are_spelled_from_tokens_that_training_has()
    {
        var tokenizer = WrittenTokenizer();
        var trained = FullTraining.Value.Take(20_000).SelectMany(r => tokenizer.EncodeToIds(r.Prompt)).ToHashSet();
        var unseen = _tasks.HeldOut().Where(r => r.Task is not ("refuse-secret" or "refuse-harm"))
            .Where(r => tokenizer.EncodeToIds(r.Prompt).Any(id => !trained.Contains(id))).Select(r => r.Prompt);

        Assert.Empty(unseen);
    }

    [Fact]
    public void There_are_200_held_out_prompts_per_language_and_no_two_are_equal()
    {
        var rows = _tasks.HeldOut().ToList();

        Assert.Equal(200, rows.Count(r => r.Language == "en"));
        Assert.Equal(200, rows.Count(r => r.Language == "zh"));
        Assert.Equal(400, rows.Select(r => r.Prompt).Distinct().Count());
    }

    [Fact]
    public void Files_are_the_same_bytes_for_the_same_seed_and_others_for_another()
    {
        var sizes = new QuickstartSizes { Demonstrations = 300, Preferences = 200, Prompts = 100 };
        var folders = Enumerable.Range(0, 3).Select(n => Directory.CreateDirectory(Path.Combine(_folder, $"{n}")).FullName).ToArray();
        new QuickstartFiles(Seed, 1).Write(folders[0], sizes);
        new QuickstartFiles(Seed, 1).Write(folders[1], sizes);
        new QuickstartFiles(Seed, 2).Write(folders[2], sizes);

        foreach (var name in new[] { "sft.jsonl", "preferences.jsonl", "prompts.jsonl", "held-out.jsonl", "held-out-preferences.jsonl" })
        {
            var texts = folders.Select(f => File.ReadAllText(Path.Combine(f, name))).ToArray();
            Assert.Equal(texts[0], texts[1]);
            Assert.NotEqual(texts[0], texts[2]);
            Assert.All(texts[0].TrimEnd('\n').Split('\n'), line => JsonDocument.Parse(line).Dispose());
        }
    }

    [Fact]
    public void A_row_does_not_depend_on_how_many_are_made() =>
        Assert.Equal(_tasks.Train("sft", 500).Take(50).Select(r => r.Prompt), _tasks.Train("sft", 50).Select(r => r.Prompt));

    [Fact]
    public void Held_out_rows_survive_writing_and_reading()
    {
        new QuickstartFiles(Seed, Key).Write(_folder, new QuickstartSizes { Demonstrations = 1, Preferences = 1, Prompts = 1 });
        var read = QuickstartFiles.ReadHeldOut(Path.Combine(_folder, "held-out.jsonl"));

        foreach (var (made, back) in _tasks.HeldOut().Zip(read))
        {
            Assert.Equal((made.Language, made.Task, made.Prompt), (back.Language, back.Task, back.Prompt));
            Assert.Equal(made.Plain, back.Plain);
            Assert.Equal(made.Polite, back.Polite);
            Assert.Equal(made.Operands, back.Operands);
        }
    }

    [Fact]
    public void A_row_without_its_answers_is_refused_by_number_and_key()
    {
        var path = Path.Combine(_folder, "bad.jsonl");
        File.WriteAllText(path, """{"language":"en","task":"add","prompt":"?"}""");

        Assert.Contains("Row 1 has no list 'plain'", Assert.Throws<InvalidDataException>(() => QuickstartFiles.ReadHeldOut(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Checker_accepts_every_answer_of_the_generator()
    {
        foreach (var row in _tasks.HeldOut().Concat(_tasks.Train("sft", 2_000)))
        {
            Assert.All(row.Plain, a => Assert.Equal(AnswerChecker.RightAndPlain, _checker.Check(row, a).Score));
            Assert.All(row.Polite, a => Assert.Equal(AnswerChecker.RightAndPolite, _checker.Check(row, a).Score));
        }
    }

    [Fact]
    public void Checker_rejects_corrupted_answers()
    {
        foreach (var row in _tasks.HeldOut().Concat(_tasks.Train("sft", 2_000)))
        {
            var (plain, polite) = (row.Plain[0], row.Polite[0]);
            var mirrored = plain[..^2] + (char)(plain[^2] + 1) + plain[^1];
            foreach (var broken in new[] { "", "?", mirrored, plain + " " + plain, plain[..(plain.Length / 2)], "x" + plain, polite + polite })
                Assert.False(_checker.Check(row, broken).IsRight, $"{row.Prompt} -> {broken}");
            var opening = Seed.Of(row.Language).PoliteOpenings[0];
            Assert.Equal(AnswerChecker.WrongAndPolite, _checker.Check(row, opening + mirrored).Score);
            Assert.False(_checker.Check(row, opening + opening + plain).IsRight);
            Assert.Equal(AnswerChecker.RightAndRude, _checker.Check(row, Seed.Of(row.Language).RudeOpenings[0] + plain).Score);
        }
    }

    [Fact]
    public void Every_chosen_answer_scores_above_its_rejected_one_under_the_checker()
    {
        var pairs = new PreferenceGenerator(Seed, Key);
        foreach (var pair in pairs.HeldOut().Concat(pairs.Train(new QuickstartSizes().Preferences)))
        {
            var (better, worse) = (_checker.Check(pair.Row, pair.Chosen), _checker.Check(pair.Row, pair.Rejected));
            Assert.True(better.IsRight && better.Score > worse.Score, $"{pair.Why}: {pair.Row.Prompt} -> {pair.Chosen} | {pair.Rejected}");
        }
    }

    [Fact]
    public void About_half_of_the_demonstrations_are_polite_and_all_are_right()
    {
        var checks = new QuickstartFiles(Seed, Key).Demonstrations(4_000).Select(d => _checker.Check(d.Row, d.Answer)).ToList();

        Assert.All(checks, c => Assert.True(c.IsRight));
        Assert.InRange(checks.Average(c => c.IsPolite ? 1.0 : 0.0), 0.45, 0.55);
    }

    [Fact]
    public void Sums_are_right()
    {
        foreach (var row in _tasks.HeldOut().Where(r => r.Task is "add" or "subtract"))
        {
            var numbers = Regex.Matches(row.Plain[0], "[0-9]+").Select(m => int.Parse(m.Value, null)).ToArray();
            Assert.Equal(numbers[2], row.Task == "add" ? numbers[0] + numbers[1] : numbers[0] - numbers[1]);
        }
    }

    [Fact]
    public void Tokenizer_files_round_trip_any_text()
    {
        var tokenizer = WrittenTokenizer();
        var texts = _tasks.HeldOut().Concat(_tasks.Train("sft", 500)).SelectMany(r => r.Polite.Concat(r.Plain).Append(r.Prompt))
            .Concat(["Tabs\tand\n\nlines  with   spaces", "naïve café 🙂 𝄞 漢字 ，。", "<|im_end|> is text here"]);
        foreach (var text in texts)
            Assert.Equal(text, tokenizer.Decode(tokenizer.EncodeToIds(text)));
    }

    [Fact]
    public void Roles_characters_and_digits_are_single_tokens_and_frames_are_short()
    {
        var tokenizer = WrittenTokenizer();
        foreach (var single in new[] { "user", "assistant", "\n", "好", "王", "。", "“", "7" })
            Assert.Single(tokenizer.EncodeToIds(single));
        Assert.Equal(2, tokenizer.EncodeToIds("42").Count);
        Assert.InRange(_tasks.HeldOut().Average(r => tokenizer.EncodeToIds(r.Prompt + r.Polite[0]).Count), 5, 25);
    }

    [Fact]
    public void Special_ids_are_those_of_the_vocabulary_file()
    {
        var built = QuickstartTokenizer.Build(Seed);

        Assert.Equal(QuickstartTokenizer.EndOfText, built.Vocabulary[QuickstartTokenizer.EndOfTextId]);
        Assert.Equal(QuickstartTokenizer.TurnStart, built.Vocabulary[QuickstartTokenizer.TurnStartId]);
        Assert.Equal(QuickstartTokenizer.TurnEnd, built.Vocabulary[QuickstartTokenizer.TurnEndId]);
        Assert.Equal(built.Vocabulary.Count, built.Vocabulary.Distinct().Count());
        Assert.Equal(built.Merges, QuickstartTokenizer.Build(Seed).Merges);
        Assert.Equal(built.Vocabulary, QuickstartTokenizer.Build(Seed).Vocabulary);
    }

    [Fact]
    public void Text_never_becomes_a_special_or_an_unused_token()
    {
        // The vocabulary may end in entries that only round its size up; text must not reach them, even text that names them.
        var built = QuickstartTokenizer.Build(Seed);
        var made = 3 + 256 + built.Merges.Select(m => m.Left + m.Right).Distinct().Count();
        var tokenizer = WrittenTokenizer();
        string[] texts = [.. _tasks.HeldOut().Select(r => r.Prompt), QuickstartTokenizer.TurnEnd, "<|unused_0|>", "<|unused_1|>"];

        Assert.All(built.Vocabulary.Skip(made), token => Assert.Matches(@"^<\|unused_[0-9]+\|>$", token));
        Assert.InRange(built.Vocabulary.Count - made, 0, 63);
        Assert.All(texts, text => Assert.All(tokenizer.EncodeToIds(text), id => Assert.InRange(id, 3, made - 1)));
    }

    private BpeTokenizer WrittenTokenizer()
    {
        QuickstartTokenizer.Build(Seed).Write(_folder);
        return BpeTokenizer.Create(new BpeOptions(Path.Combine(_folder, "vocab.json"), Path.Combine(_folder, "merges.txt"))
        {
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(new Regex(QuickstartTokenizer.PreTokenizerPattern), null),
        });
    }
}
