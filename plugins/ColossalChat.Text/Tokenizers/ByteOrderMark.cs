namespace ColossalChat.Text;

/// <summary>Files written on Windows may begin with a byte-order mark.</summary>
internal static class ByteOrderMark
{
    private static ReadOnlySpan<byte> Utf8 => [0xEF, 0xBB, 0xBF];

    /// <summary>The bytes after the mark, if there is one.</summary>
    public static ReadOnlyMemory<byte> WithoutBom(this byte[] bytes) => bytes.AsMemory(LengthIn(bytes));

    /// <summary>3 when the bytes begin with a mark, else 0.</summary>
    public static int LengthIn(ReadOnlySpan<byte> bytes) => bytes.StartsWith(Utf8) ? Utf8.Length : 0;
}
