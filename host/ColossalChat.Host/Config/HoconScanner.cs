using ColossalChat.PluginHost;

namespace ColossalChat.Host.Config;

/// <summary>
/// Reads the HOCON that configurations are written in, and reports everything that Akka's own parser lets pass in
/// silence or dies of: unbalanced brackets and quotes, duplicate keys, <c>+=</c>, includes that do not exist. It never
/// throws on any text.
/// </summary>
internal sealed partial class HoconScanner
{
    private const int DeepestNesting = 64;
    private const int DeepestInclude = 16;
    private const string Forbidden = "$\"{}[]:=,+#`^?!@*&\\";

    private readonly HoconCursor _cursor;
    private readonly string _source;
    private readonly ICollection<ConfigProblem> _problems;
    private readonly IHoconFiles _files;
    private readonly IReadOnlyList<string> _prefix;
    private readonly IReadOnlyList<string> _includedFrom;
    private int _depth;

    private HoconScanner(
        string text,
        string source,
        IHoconFiles files,
        IReadOnlyList<string> prefix,
        IReadOnlyList<string> includedFrom,
        ICollection<ConfigProblem> problems)
    {
        (_cursor, _source, _files, _prefix, _includedFrom, _problems) =
            (new HoconCursor(text, source), source, files, prefix, includedFrom, problems);
    }

    /// <summary>Reads a whole document.</summary>
    /// <param name="text">The document.</param>
    /// <param name="source">File name that places carry.</param>
    /// <param name="files">Where included files come from.</param>
    /// <param name="problems">Takes all that is wrong.</param>
    public static HoconSection Scan(string text, string source, IHoconFiles files, ICollection<ConfigProblem> problems) =>
        new HoconScanner(text, source, files, [], [source], problems).Document();

    /// <summary>Reads one value, as it stands on the right of a key.</summary>
    public static HoconNode? ScanValue(string text, string source, string path, ICollection<ConfigProblem> problems)
    {
        var scanner = new HoconScanner(text, source, new NoHoconFiles(), [], [source], problems);
        var value = scanner.Value(path);
        scanner._cursor.SkipGap(commas: false);
        if (!scanner._cursor.AtEnd)
            scanner.Report(path, scanner._cursor.Place, $"the value ends before '{scanner._cursor.Current}'; put quotes around the whole value.");
        return value;
    }

    /// <summary>Cuts a key such as <c>a."b.c".d</c> into its parts; null when it is no key.</summary>
    public static IReadOnlyList<string>? ScanKey(string text)
    {
        var scanner = new HoconScanner(text, "", new NoHoconFiles(), [], [], []);
        var key = scanner.Key();
        return key.Count > 0 && scanner._cursor.AtEnd && scanner._problems.Count == 0 ? key : null;
    }

    private HoconSection Document()
    {
        var root = new HoconSection(_cursor.Place);
        _cursor.SkipGap(commas: true);
        var opened = _cursor.Place;
        var inBraces = _cursor.Current == '{';
        if (inBraces)
            _cursor.Take();
        Members(root, [], inBraces ? opened : null);
        _cursor.SkipGap(commas: true);
        while (!_cursor.AtEnd)
        {
            // Akka's parser drops everything after an extra bracket; here it is reported and reading goes on.
            var place = _cursor.Place;
            var extra = _cursor.Take();
            Report("", place, $"'{extra}' closes nothing; remove it, or open its bracket before.");
            Members(root, [], null);
            _cursor.SkipGap(commas: true);
        }

        return root;
    }

    /// <summary>Members of a section up to its closing brace, which is taken.</summary>
    private void Members(HoconSection section, IReadOnlyList<string> path, HoconPlace? opened)
    {
        while (true)
        {
            _cursor.SkipGap(commas: true);
            if (_cursor.AtEnd)
            {
                if (opened is { } open)
                    Report(Join(path), open, "the section opened here with '{' is never closed; add '}'.");
                return;
            }

            if (_cursor.Current is '}' or ']')
            {
                if (opened is null)
                    return;
                var place = _cursor.Place;
                if (_cursor.Take() == ']')
                    Report(Join(path), place, $"']' closes the section opened at {opened}; write '}}'.");
                return;
            }

            Member(section, path);
        }
    }

    private void Member(HoconSection section, IReadOnlyList<string> path)
    {
        var (place, start) = (_cursor.Place, _cursor.Position);
        if (AtInclude())
        {
            Include(section, path);
            return;
        }

        var key = Key();
        var full = Join([.. path, .. key]);
        _cursor.SkipBlanks();
        if (key.Count == 0)
            Recover(path, place, start, $"'{Shown(_cursor.Current)}' cannot begin a key; keys are words joined by '-' and '.', or stand in quotes.");
        else if (_cursor.Current == '{')
            Assign(section, path, key, Value(full), full);
        else if (_cursor.Current == '+' && _cursor.Peek(1) == '=')
            Recover([.. path, .. key], place, start, "'+=' is not supported; write the whole list with '='.");
        else if (_cursor.Current is '=' or ':')
        {
            _cursor.Take();
            _cursor.SkipBlanks();
            Assign(section, path, key, Value(full), full);
        }
        else
            Recover([.. path, .. key], place, start, $"after the key comes '{Shown(_cursor.Current)}'; write '=', or '{{' to open a section.");
    }

    private void Assign(HoconSection section, IReadOnlyList<string> path, List<string> key, HoconNode? value, string full)
    {
        if (value is null)
            return;
        if (path.Count + key.Count > DeepestNesting)
        {
            Report(full[..Math.Min(full.Length, 80)], value.Place, $"keys nest deeper than {DeepestNesting} levels.");
            return;
        }

        for (var i = key.Count - 1; i > 0; i--)
        {
            var wrapper = new HoconSection(value.Place);
            wrapper.Children[key[i]] = value;
            value = wrapper;
        }

        HoconMerge.Add(section, path, key[0], value, _problems);
    }

    private void Recover(IReadOnlyList<string> path, HoconPlace place, int start, string message)
    {
        Report(Join(path), place, message);
        _cursor.SkipLine();
        if (_cursor.Position == start)
            _cursor.Take();
    }

    private void Report(string path, HoconPlace place, string message) =>
        _problems.Add(new ConfigProblem(path.Length > 0 ? path : "(file)", place.ToString(), message));

    private string Shown(char letter) => _cursor.AtEnd ? "the end of the file" : letter == '\n' ? "the end of the line" : letter.ToString();

    private static string Join(IReadOnlyList<string> path) => HoconPath.Join(path);
}
