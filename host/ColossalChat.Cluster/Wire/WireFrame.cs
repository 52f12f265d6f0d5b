namespace ColossalChat.Cluster;

/// <summary>One value as bytes by itself: the format's head, the value, and nothing after it.</summary>
internal static class WireFrame
{
    /// <summary>Bytes of a value.</summary>
    public static byte[] Bytes<T>(T value, Action<WireWriter, T> write)
    {
        using var to = new WireWriter();
        to.Head();
        write(to, value);
        return to.ToArray();
    }

    /// <summary>The value that <see cref="Bytes"/> wrote.</summary>
    /// <param name="bytes">The whole frame.</param>
    /// <param name="what">What it is, for messages.</param>
    /// <param name="read">Reads the value.</param>
    /// <exception cref="WireFormatException">The bytes are something else.</exception>
    public static T Read<T>(ReadOnlyMemory<byte> bytes, string what, Func<WireReader, T> read)
    {
        var from = new WireReader(bytes, what);
        from.Head();
        var value = read(from);
        from.End();
        return value;
    }
}
