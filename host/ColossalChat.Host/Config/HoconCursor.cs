namespace ColossalChat.Host.Config;

/// <summary>A place in a text that counts lines.</summary>
internal sealed class HoconCursor(string text, string source)
{
    private int _position;
    private int _line = 1;

    public const char End = '\0';

    public HoconPlace Place => new(source, _line);

    public bool AtEnd => _position >= text.Length;

    public int Position => _position;

    public char Current => Peek(0);

    public char Peek(int ahead) => _position + ahead < text.Length ? text[_position + ahead] : End;

    public bool StartsWith(string word) => string.CompareOrdinal(text, _position, word, 0, word.Length) == 0;

    public char Take()
    {
        if (AtEnd)
            return End;
        var taken = text[_position++];
        if (taken == '\n')
            _line++;
        return taken;
    }

    public void Skip(int count)
    {
        for (var i = 0; i < count; i++)
            Take();
    }

    public string Since(int start) => text[start.._position];

    /// <summary>Spaces and tabs, not line ends.</summary>
    public void SkipBlanks()
    {
        while (!AtEnd && Current != '\n' && (char.IsWhiteSpace(Current) || Current == '\uFEFF'))
            Take();
    }

    public bool AtComment => Current == '#' || (Current == '/' && Peek(1) == '/');

    public void SkipLine()
    {
        while (!AtEnd && Current != '\n')
            Take();
    }

    /// <summary>Blanks, comments, line ends, and commas where <paramref name="commas"/> allows them.</summary>
    public void SkipGap(bool commas)
    {
        while (true)
        {
            SkipBlanks();
            if (AtComment)
                SkipLine();
            else if (Current == '\n' && !AtEnd || (commas && Current == ','))
                Take();
            else
                return;
        }
    }
}
