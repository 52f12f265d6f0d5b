using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Serialization;
using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Writes values one after the other into a growing buffer, which is borrowed until disposal. Numbers are little-endian; every
/// value has exactly one form, so equal values have equal bytes. <see cref="WireReader"/> reads what each method wrote.
/// </summary>
internal class WireWriter : IDisposable
{
    /// <summary>First byte of every frame: the upper half marks this format, the lower half counts its versions.</summary>
    public const byte HeadByte = 0xC1;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(1024);
    private int _depth;

    /// <summary>Bytes written so far.</summary>
    public int Length { get; private set; }

    /// <summary>The bytes, until the next call.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    /// <summary>The bytes, copied.</summary>
    public byte[] ToArray() => Written.ToArray();

    /// <summary>Begins a frame.</summary>
    public void Head() => Byte(HeadByte);

    /// <summary>One byte.</summary>
    public void Byte(byte value) => Grow(1)[0] = value;

    /// <summary>One byte, 0 or 1.</summary>
    public void Bool(bool value) => Byte(value ? (byte)1 : (byte)0);

    /// <summary>1 to 10 bytes, 7 bits each, low ones first.</summary>
    public void Varint(ulong value)
    {
        for (; value >= 0x80; value >>= 7)
            Byte((byte)(value | 0x80));
        Byte((byte)value);
    }

    /// <summary>A count of what follows.</summary>
    public void Count(int value) => Varint((ulong)value);

    /// <summary>A whole number; small ones of either sign take few bytes.</summary>
    public void Int64(long value) => Varint((ulong)((value << 1) ^ (value >> 63)));

    /// <summary>A whole number.</summary>
    public void Int32(int value) => Int64(value);

    /// <summary>Eight bytes.</summary>
    public void Fixed64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Grow(8), value);

    /// <summary>Four bytes.</summary>
    public void Fixed32(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Grow(4), value);

    /// <summary>Eight bytes, NaN with its bits.</summary>
    public void Double(double value) => Fixed64(BitConverter.DoubleToUInt64Bits(value));

    /// <summary>A time span in ticks of 100 ns.</summary>
    public void Duration(TimeSpan value) => Int64(value.Ticks);

    /// <summary>A value of an enumeration, by its number.</summary>
    public void Enum<T>(T value)
        where T : struct, Enum => Int32(Convert.ToInt32(value, provider: null));

    /// <summary>Length in bytes, then UTF-8. Half a surrogate pair, which no UTF-8 can hold, becomes U+FFFD.</summary>
    public void Text(string value)
    {
        var bytes = Encoding.UTF8.GetByteCount(value);
        Count(bytes);
        Encoding.UTF8.GetBytes(value, Grow(bytes));
    }

    /// <summary>A text of at most <see cref="WireLimits.NameBytes"/>, such as a role's or a metric's.</summary>
    /// <exception cref="WireFormatException">It is longer; no reader would take it.</exception>
    public void Name(string value)
    {
        if (Encoding.UTF8.GetByteCount(value) is var bytes && bytes > WireLimits.NameBytes)
            throw new WireFormatException($"The name '{value[..40]}...' has {bytes} bytes; at most {WireLimits.NameBytes}.");
        Text(value);
    }

    /// <summary>A mark, then the value unless it is null.</summary>
    public void Optional<T>(T? value, Action<WireWriter, T> write)
        where T : class
    {
        Bool(value is not null);
        if (value is not null)
            write(this, value);
    }

    /// <summary>A mark, then the number unless it is null.</summary>
    public void OptionalDouble(double? value)
    {
        Bool(value is not null);
        if (value is { } number)
            Double(number);
    }

    /// <summary>A count, then each.</summary>
    public void List<T>(IReadOnlyCollection<T> values, Action<WireWriter, T> write)
    {
        if (++_depth > WireLimits.Depth)
            throw new WireFormatException($"Lists are {_depth} deep; at most {WireLimits.Depth}.");
        Count(values.Count);
        foreach (var value in values)
            write(this, value);
        _depth--;
    }

    /// <summary>A count, then the values as they lie in memory; flags take a bit each.</summary>
    public void Array<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        Count(values.Length);
        Block(values);
    }

    /// <summary>Numbers by name, in the dictionary's order.</summary>
    public void Numbers(IReadOnlyDictionary<string, double> values) => List(values, static (to, entry) =>
    {
        to.Name(entry.Key);
        to.Double(entry.Value);
    });

    /// <summary>Rows of different lengths: their number, their lengths, then all values back to back; flags take a bit each.</summary>
    public void Ragged<T>(Ragged<T> rows)
        where T : unmanaged
    {
        Count(rows.Rows);
        for (var row = 0; row < rows.Rows; row++)
            Count(rows.LengthOf(row));
        Block(rows.Values.Span);
    }

    /// <summary>Gives the buffer back.</summary>
    public void Dispose()
    {
        var buffer = _buffer;
        (_buffer, Length) = ([], 0);
        if (buffer.Length > 0)
            ArrayPool<byte>.Shared.Return(buffer);
        GC.SuppressFinalize(this);
    }

    private void Block<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        // As they lie in memory is little-endian on every platform that libtorch runs on.
        var bytes = MemoryMarshal.AsBytes(values);
        if (typeof(T) == typeof(bool))
            Bits(bytes);
        else
            bytes.CopyTo(Grow(bytes.Length));
    }

    private void Bits(ReadOnlySpan<byte> flags)
    {
        var bytes = Grow((flags.Length + 7) / 8);
        bytes.Clear();
        for (var i = 0; i < flags.Length; i++)
            if (flags[i] != 0)
                bytes[i >> 3] |= (byte)(1 << (i & 7));
    }

    private Span<byte> Grow(int bytes)
    {
        var length = (long)Length + bytes;
        if (length > WireLimits.ParcelBytes)
            throw new SerializationException($"A message takes more than {WireLimits.ParcelBytes} bytes, the most there is; send it in parts.");
        if (length > _buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent((int)Math.Max(length, Math.Min(2L * _buffer.Length, WireLimits.ParcelBytes)));
            Written.CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }

        var span = _buffer.AsSpan(Length, bytes);
        Length = (int)length;
        return span;
    }
}
