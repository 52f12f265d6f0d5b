namespace ColossalChat.Quickstart.Data;

/// <summary>The values of a frame's {slots}, the operands among them, and wrong values for the result.</summary>
internal sealed class TaskSlots
{
    private readonly Dictionary<string, string> _values = [];
    private readonly List<string> _operands = [];
    private readonly List<string> _wrong = [];

    /// <summary>What the question was made from, in the order it was set.</summary>
    public IReadOnlyList<string> Operands => _operands;

    /// <summary>Sets a slot that is not an operand.</summary>
    public TaskSlots Set(string slot, string value)
    {
        _values[slot] = value;
        return this;
    }

    /// <summary>Sets a slot that is an operand.</summary>
    public TaskSlots Operand(string slot, string value)
    {
        _operands.Add(value);
        return Set(slot, value);
    }

    /// <summary>Sets a slot to a number; the operand is its value in digits, however it is written.</summary>
    public TaskSlots Number(string slot, int value, Func<int, string> write)
    {
        _operands.Add(NumberWords.Digits(value));
        return Set(slot, write(value));
    }

    /// <summary>Sets slot c to a number of 0 to 99 and makes four wrong numbers: each digit moved by one, and both drawn anew.</summary>
    public TaskSlots Result(int value, Func<int, string> write, Keyed random)
    {
        Set("c", write(value));
        if (value < 10)
            return Wrong(write((value + 1) % 10), write((value + 9) % 10));
        var (tens, units) = (value / 10, value % 10);
        int Regular(int t, int u) => ((2 + ((t + 6) % 8)) * 10) + 1 + ((u + 8) % 9);
        return Wrong(
            write(Regular(tens, units + 1)), write(Regular(tens + 1, units)), write(Regular(tens + 7, units)),
            write(Regular(2 + random.Below(8), 1 + random.Below(9))));
    }

    /// <summary>Adds wrong values for the result; those equal to the right one are dropped when read.</summary>
    public TaskSlots Wrong(params string[] values)
    {
        _wrong.AddRange(values);
        return this;
    }

    /// <summary>The wrong values of a result slot; at least one.</summary>
    public IReadOnlyList<string> WrongResults(string slot)
    {
        var wrong = _wrong.Where(w => w != _values[slot]).Distinct().ToArray();
        return wrong.Length > 0 ? wrong : [_values[slot] + _values[slot]];
    }

    /// <summary>The same slots with one value replaced.</summary>
    public TaskSlots With(string slot, string value)
    {
        var copy = new TaskSlots();
        foreach (var (key, old) in _values)
            copy._values[key] = old;
        return copy.Set(slot, value);
    }

    /// <summary>A frame with every {slot} replaced by its value.</summary>
    public string Into(string frame)
    {
        foreach (var (slot, value) in _values)
            frame = frame.Replace("{" + slot + "}", value, StringComparison.Ordinal);
        return frame.Contains('{', StringComparison.Ordinal)
            ? throw new InvalidOperationException($"The frame '{frame}' of quickstart-seed.json has a slot nobody filled; known here: {string.Join(", ", _values.Keys)}.")
            : frame;
    }
}
