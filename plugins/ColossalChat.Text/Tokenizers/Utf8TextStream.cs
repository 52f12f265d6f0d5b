using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Bytes of one id; none for special ids that stay hidden.</summary>
internal delegate ReadOnlySpan<byte> TokenBytes(int id);

/// <summary>Joins the bytes of ids and gives out whole characters only.</summary>
/// <param name="bytesOf">Bytes of an id.</param>
/// <param name="dropsLeadingSpace">True takes away one space at the very front, which encoding had put there.</param>
internal sealed class Utf8TextStream(TokenBytes bytesOf, bool dropsLeadingSpace) : ITextStream
{
    // A decoder keeps the bytes of a half character from one call to the next.
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private bool _atStart = true;

    /// <inheritdoc/>
    public string Add(int id) => Take(bytesOf(id), last: false);

    /// <inheritdoc/>
    public string Finish() => Take([], last: true);

    private string Take(ReadOnlySpan<byte> bytes, bool last)
    {
        Span<char> chars = new char[Encoding.UTF8.GetMaxCharCount(bytes.Length) + 2];
        chars = chars[.._decoder.GetChars(bytes, chars, last)];
        if (chars.IsEmpty)
            return "";
        if (_atStart && dropsLeadingSpace && chars[0] == ' ')
            chars = chars[1..];
        _atStart = false;
        return new string(chars);
    }
}
