namespace ColossalChat.Text;

/// <summary>Lines of a stream as bytes, whatever their length; a byte-order mark and line ends (LF, CR LF) are left out.</summary>
internal sealed class ByteLines(Stream stream) : IDisposable
{
    private byte[] _buffer = new byte[1 << 16];
    private int _start;
    private int _end;
    private bool _atFileStart = true;

    /// <summary>The next line, in memory of its own; null at the end.</summary>
    public ReadOnlyMemory<byte>? Next()
    {
        var searched = 0;
        while (true)
        {
            var found = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (found >= 0)
                return Take(searched + found, skip: 1);
            searched = _end - _start;
            if (!Fill())
            {
                // A bare null here would become an empty line: arrays convert to memory.
                return searched > 0 ? Take(searched, skip: 0) : default(ReadOnlyMemory<byte>?);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _buffer = [];

    private ReadOnlyMemory<byte> Take(int length, int skip)
    {
        var line = _buffer.AsSpan(_start, length);
        if (_atFileStart)
            line = line[ByteOrderMark.LengthIn(line)..];
        _atFileStart = false;
        _start += length + skip;
        return line.TrimEnd((byte)'\r').ToArray();
    }

    private bool Fill()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        if (_end == _buffer.Length)
            Array.Resize(ref _buffer, checked(_buffer.Length * 2));
        var read = stream.Read(_buffer.AsSpan(_end));
        _end += read;
        return read > 0;
    }
}
