using System.Globalization;
using System.Text;

namespace ColossalChat.Host.Config;

// The second half of the scanner: keys, values, quotes and includes.
internal sealed partial class HoconScanner
{
    private const string MissingValue = "the value is missing; write one, \"\" for an empty text, or null for the default.";

    private List<string> Key()
    {
        var parts = new List<string>();
        while (true)
        {
            string part;
            if (_cursor.Current == '"')
                part = Quoted("") ?? "";
            else
            {
                var start = _cursor.Position;
                while (!_cursor.AtEnd && _cursor.Current != '.' && _cursor.Current != '\n' && !_cursor.AtComment && !Forbidden.Contains(_cursor.Current, StringComparison.Ordinal))
                    _cursor.Take();
                part = _cursor.Since(start).Trim();
                if (part.Length == 0)
                    return [];
            }

            parts.Add(part);
            _cursor.SkipBlanks();
            if (_cursor.Current != '.')
                return parts;
            _cursor.Take();
            _cursor.SkipBlanks();
        }
    }

    /// <summary>A value with everything joined to it, up to the end of its line, a comma or a bracket.</summary>
    private HoconNode? Value(string path)
    {
        _cursor.SkipBlanks();
        var place = _cursor.Place;
        if (_cursor.AtEnd || _cursor.AtComment || _cursor.Current == '\n')
        {
            // Only a bracket or a quote may begin on a later line; a word there is the next key.
            _cursor.SkipGap(commas: false);
            if (_cursor.Current is not ('{' or '[' or '"') || _cursor.AtEnd)
            {
                Report(path, place, MissingValue);
                return null;
            }
        }

        var parts = new List<HoconNode>();
        var blanks = "";
        while (true)
        {
            var start = _cursor.Position;
            _cursor.SkipBlanks();
            blanks = _cursor.Since(start);
            if (_cursor.AtEnd || _cursor.AtComment || _cursor.Current is '\n' or ',' or '}' or ']')
                break;
            var part = Part(path);
            if (part is null)
            {
                _cursor.SkipLine();
                return null;
            }

            // Blanks between two texts belong to the value; those around lists and sections do not.
            if (parts.Count > 0 && blanks.Length > 0 && part is HoconText or HoconReference && parts[^1] is HoconText or HoconReference)
                parts.Add(new HoconText(part.Place, blanks, isQuoted: true));
            parts.Add(part);
        }

        if (parts.Count > 0)
            return parts.Count == 1 ? parts[0] : new HoconJoin(place, parts);
        Report(path, place, MissingValue);
        return null;
    }

    private HoconNode? Part(string path)
    {
        var place = _cursor.Place;
        switch (_cursor.Current)
        {
            case '{':
            case '[':
                return Nested(path, place);
            case '"':
                return Quoted(path) is { } text ? new HoconText(place, text, isQuoted: true) : null;
            case '$' when _cursor.Peek(1) == '{':
                return Reference(path, place);
        }

        var start = _cursor.Position;
        while (!_cursor.AtEnd && !char.IsWhiteSpace(_cursor.Current) && !_cursor.AtComment && !Forbidden.Contains(_cursor.Current, StringComparison.Ordinal))
            _cursor.Take();
        if (_cursor.Position > start)
            return new HoconText(place, _cursor.Since(start));
        Report(path, place, $"'{_cursor.Current}' is not allowed in a value without quotes; put the whole value in quotes.");
        return null;
    }

    private HoconNode? Nested(string path, HoconPlace place)
    {
        if (_depth >= DeepestNesting)
        {
            // Reading on would repeat this for every level; the rest of the file says nothing any more.
            Report(path, place, $"brackets nest deeper than {DeepestNesting} levels; the rest of the file was not read.");
            while (!_cursor.AtEnd)
                _cursor.Take();
            return null;
        }

        _depth++;
        HoconNode node;
        if (_cursor.Take() == '{')
        {
            var section = new HoconSection(place);
            Members(section, HoconPath.Split(path), place);
            node = section;
        }
        else
            node = Items(path, place);
        _depth--;
        return node;
    }

    private HoconList Items(string path, HoconPlace opened)
    {
        var list = new HoconList(opened);
        while (true)
        {
            _cursor.SkipGap(commas: true);
            var place = _cursor.Place;
            if (_cursor.AtEnd)
            {
                Report(path, opened, "the list opened here with '[' is never closed; add ']'.");
                return list;
            }

            if (_cursor.Current is ']' or '}')
            {
                if (_cursor.Take() == '}')
                    Report(path, place, $"'}}' closes the list opened at {opened}; write ']'.");
                return list;
            }

            if (Value($"{path}.{list.Items.Count.ToString(CultureInfo.InvariantCulture)}") is { } item)
                list.Items.Add(item);
        }
    }

    private HoconReference? Reference(string path, HoconPlace place)
    {
        _cursor.Skip(2);
        var isOptional = _cursor.Current == '?';
        if (isOptional)
            _cursor.Take();
        var start = _cursor.Position;
        while (!_cursor.AtEnd && _cursor.Current is not ('}' or '\n'))
            _cursor.Take();
        var name = _cursor.Since(start).Trim();
        if (_cursor.Current != '}' || _cursor.AtEnd)
        {
            Report(path, place, "'${' is never closed; add '}' after the name.");
            return null;
        }

        _cursor.Take();
        if (name.Length > 0)
            return new HoconReference(place, name, isOptional, _prefix);
        Report(path, place, "'${}' names nothing; write a key path or an environment variable.");
        return null;
    }

    private string? Quoted(string path)
    {
        var place = _cursor.Place;
        if (_cursor.StartsWith("\"\"\""))
            return TripleQuoted(path, place);
        _cursor.Take();
        var text = new StringBuilder();
        while (_cursor.Current != '"' || _cursor.AtEnd)
        {
            if (_cursor.AtEnd || _cursor.Current == '\n')
            {
                Report(path, place, "the quote opened here is not closed on its line; add '\"', or use \"\"\" for several lines.");
                return null;
            }

            if (_cursor.Current != '\\')
                text.Append(_cursor.Take());
            else if (!Escape(path, text))
                return null;
        }

        _cursor.Take();
        return text.ToString();
    }

    private string? TripleQuoted(string path, HoconPlace place)
    {
        _cursor.Skip(3);
        var start = _cursor.Position;
        while (!_cursor.AtEnd && !_cursor.StartsWith("\"\"\""))
            _cursor.Take();
        if (_cursor.AtEnd)
        {
            Report(path, place, "the triple quote opened here is never closed; add \"\"\".");
            return null;
        }

        var text = _cursor.Since(start);
        _cursor.Skip(3);
        return text;
    }

    private bool Escape(string path, StringBuilder text)
    {
        var place = _cursor.Place;
        _cursor.Take();
        var letter = _cursor.Take();
        if (letter == 'u')
        {
            var start = _cursor.Position;
            while (_cursor.Position - start < 4 && char.IsAsciiHexDigit(_cursor.Current))
                _cursor.Take();
            if (ushort.TryParse(_cursor.Since(start), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var code) && _cursor.Position - start == 4)
            {
                text.Append((char)code);
                return true;
            }
        }

        var known = "\"\\/bfnrt".IndexOf(letter, StringComparison.Ordinal);
        if (known < 0 || letter == HoconCursor.End)
        {
            Report(path, place, $"'\\{(char.IsControl(letter) ? ' ' : letter)}' is no escape; write \\\\ for a backslash, or use forward slashes in paths.");
            return false;
        }

        text.Append("\"\\/\b\f\n\r\t"[known]);
        return true;
    }

    private bool AtInclude() => _cursor.StartsWith("include") && _cursor.Peek(7) is ' ' or '\t' or '"';

    private void Include(HoconSection section, IReadOnlyList<string> path)
    {
        var (place, start) = (_cursor.Place, _cursor.Position);
        _cursor.Skip("include".Length);
        _cursor.SkipBlanks();
        if (_cursor.Current != '"')
        {
            Recover(path, place, start, "include needs a file name in quotes, relative to this file.");
            return;
        }

        if (Quoted(Join(path)) is not { } name)
        {
            _cursor.SkipLine();
            return;
        }

        var file = _files.Beside(_source, name);
        if (_includedFrom.Contains(file) || _includedFrom.Count > DeepestInclude)
            Report(Join(path), place, $"include \"{name}\" goes round in a circle: {string.Join(" -> ", _includedFrom)} -> {file}.");
        else if (_files.Read(file) is not { } text)
            Report(Join(path), place, $"include \"{name}\": there is no readable file {file}.");
        else
        {
            var scanner = new HoconScanner(text, file, _files, [.. _prefix, .. path], [.. _includedFrom, file], _problems);
            HoconMerge.Include(section, path, scanner.Document(), _problems);
        }
    }
}
