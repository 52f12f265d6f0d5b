using static ColossalChat.Quickstart.Data.NumberWords;

namespace ColossalChat.Quickstart.Data;

/// <summary>Fills the frames of one language's tasks with operands of one split.</summary>
internal sealed class TaskFiller(QuickstartSeed seed, LanguageSeed language, bool heldOut)
{
    private readonly OperandPool _pool = new(seed, language.Language, heldOut);
    private readonly LanguageSeed _other = language.Language == "en" ? seed.Chinese : seed.English;

    private bool English => language.Language == "en";

    /// <summary>One question of <paramref name="task"/> with its right and wrong answers.</summary>
    public FilledTask Fill(TaskSeed task, Keyed random)
    {
        var slots = new TaskSlots();
        FillSlots(task.Name, slots, random);
        var plain = task.Plain.Select(slots.Into).ToArray();
        var polite = task.Polite.Count > 0
            ? task.Polite.Select(slots.Into).ToArray()
            : language.PoliteOpenings.SelectMany(o => plain.Select(p => o + p)).ToArray();
        var wrong = task.Wrong.Count > 0
            ? task.Wrong.Select(slots.Into)
            : slots.WrongResults(task.Answer).SelectMany(w => task.Plain.Select(p => slots.With(task.Answer, w).Into(p)));
        var row = new QuickstartRow
        {
            Language = language.Language,
            Task = task.Name,
            Prompt = slots.Into(random.Pick(task.Prompts)),
            Plain = plain,
            Polite = polite,
            Operands = slots.Operands,
        };
        return new FilledTask(row, [.. wrong.Distinct()]);
    }

    private void FillSlots(string task, TaskSlots slots, Keyed random)
    {
        switch (task)
        {
            case "greet" or "recall" or "thank":
                FillName(slots, random);
                break;
            case "refuse-secret":
                slots.Operand("name", _pool.Name(random)).Operand("secret", _pool.Secret(random));
                break;
            case "refuse-harm":
                slots.Operand("name", _pool.Name(random)).Operand("harm", _pool.Harm(random));
                break;
            case "copy" or "reverse" or "count" or "first" or "last":
                FillText(task, slots, random);
                break;
            case "colour":
                FillPair(slots, language.Colours, random);
                break;
            case "opposite":
                FillPair(slots, language.Opposites, random);
                break;
            case "chat-who" or "chat-how":
                break;
            default:
                FillNumbers(task, slots, random);
                break;
        }
    }

    private void FillName(TaskSlots slots, Keyed random)
    {
        var name = _pool.Name(random);
        var other = _pool.Name(random);
        slots.Operand("name", name).Wrong(other, _pool.Allowed(() => Corrupt.Text(name, _pool.Name(random), random)));
    }

    private void FillText(string task, TaskSlots slots, Keyed random)
    {
        // English spells with spaces, one letter a token; Chinese needs no spaces.
        // All but counting keep to one length: position is then a rule that a small model learns in minutes.
        var (shortest, longest) = (task, English) switch
        {
            ("count", true) => (3, 6),
            ("count", false) => (2, 4),
            ("reverse", _) or (_, false) => (3, 3),
            _ => (4, 4),
        };
        string Draw() => English && task != "copy" ? _pool.Spelled(random, shortest, longest, distinct: task is "reverse") : _pool.Word(random, shortest, longest);
        var word = Draw();
        // "god" is no reserved word, but its answer would be one.
        while (task == "reverse" && !_pool.Allows(Reversed(word)))
            word = Draw();
        var gap = English ? " " : "";
        slots.Operand("word", word).Set("letters", string.Join(gap, word.ToCharArray()));
        switch (task)
        {
            case "copy":
                var (other, tail) = (_pool.Word(random, shortest, longest), _pool.Word(random, shortest, longest));
                slots.Wrong(other, _pool.Allowed(() => Corrupt.Text(word, tail, random)));
                break;
            case "reverse":
                var shuffled = _pool.Allowed(() => new string(random.Shuffle(Reversed(word))));
                slots.Set("reversed", string.Join(gap, Reversed(word).ToCharArray()))
                    .Wrong(string.Join(gap, word.ToCharArray()), string.Join(gap, shuffled.ToCharArray()));
                break;
            case "count":
                slots.Set("count", Digits(word.Length)).Wrong(Digits(word.Length + 1), Digits(word.Length - 1), Digits(2 + random.Below(5)));
                break;
            default:
                slots.Set("letter", task == "first" ? word[..1] : word[^1..])
                    .Wrong(word.Select(c => c.ToString()).ToArray());
                break;
        }
    }

    private static void FillPair(TaskSlots slots, IReadOnlyList<KeyValuePair<string, string>> pairs, Keyed random)
    {
        var (word, answer) = random.Pick(pairs);
        slots.Operand("a", word).Set("c", answer).Wrong([.. pairs.Select(p => p.Value)]);
    }

    private void FillNumbers(string task, TaskSlots slots, Keyed random)
    {
        string InWords(int value) => Words(language, value);
        bool HasWords(int value) => value > 20 && value % 10 > 0;
        switch (task)
        {
            case "add":
                var (a, b) = !heldOut && random.Chance(0.1) ? SmallSum(random) : _pool.Numbers(random, NoCarry);
                slots.Number("a", a, Digits).Number("b", b, Digits).Result(a + b, Digits, random);
                break;
            case "subtract":
                (a, b) = _pool.Numbers(random, (x, y) => x / 10 > y / 10 && x % 10 >= y % 10);
                slots.Number("a", a, Digits).Number("b", b, Digits).Result(a - b, Digits, random);
                break;
            case "add-words":
                (a, b) = _pool.Numbers(random, (x, y) => NoCarry(x, y) && HasWords(x) && HasWords(y));
                slots.Number("a", a, InWords).Number("b", b, InWords).Result(a + b, InWords, random);
                break;
            case "translate-number":
                a = _pool.Number(random, HasWords);
                slots.Number("a", a, InWords).Result(a, value => Words(_other, value), random);
                break;
            case "digits":
                a = _pool.Number(random, HasWords);
                slots.Number("a", a, InWords).Result(a, Digits, random);
                break;
            case "compare":
                (a, b) = _pool.Numbers(random, (x, y) => x / 10 != y / 10);
                slots.Number("a", a, Digits).Number("b", b, Digits).Set("c", Digits(Math.Max(a, b))).Wrong(Digits(Math.Min(a, b)));
                break;
            case "next":
                a = _pool.Number(random, value => value % 10 < 9);
                slots.Number("a", a, Digits).Result(a + 1, Digits, random);
                break;
            default:
                throw new InvalidOperationException($"quickstart-seed.json names the task '{task}', which TaskFiller cannot fill; rename it or add it there.");
        }
    }

    private static string Reversed(string word) => new([.. word.Reverse()]);

    private static bool NoCarry(int a, int b) => (a / 10) + (b / 10) <= 9 && (a % 10) + (b % 10) <= 9;

    private static (int A, int B) SmallSum(Keyed random)
    {
        var a = random.Below(10);
        return (a, random.Below(10 - a));
    }
}
