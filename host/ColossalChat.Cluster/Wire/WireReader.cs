using System.Buffers.Binary;
using System.Collections.ObjectModel;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Reads what <see cref="WireWriter"/> wrote. Trusts nothing: every length is compared with what is left before memory is
/// taken for it, and a value in another form than the writer's is refused. Every failure is a <see cref="WireFormatException"/>.
/// </summary>
/// <param name="bytes">One whole frame. What is read is copied from it.</param>
/// <param name="what">What the bytes are, for messages.</param>
internal class WireReader(ReadOnlyMemory<byte> bytes, string what)
{
    private static readonly int[] s_noRows = [0];

    private int _at;
    private int _depth;

    /// <summary>Bytes not read yet.</summary>
    public int Left => bytes.Length - _at;

    /// <summary>Reads what every frame begins with.</summary>
    public void Head()
    {
        var head = Byte("head");
        if (head == WireWriter.HeadByte)
            return;
        throw (head & 0xF0) == (WireWriter.HeadByte & 0xF0)
            ? Refusal($"format version is {head & 0x0F}, this program reads {WireWriter.HeadByte & 0x0F}; run the same version on all nodes")
            : Refusal($"head is 0x{head:X2}, not 0x{WireWriter.HeadByte:X2}");
    }

    /// <summary>Makes sure that nothing follows.</summary>
    public void End()
    {
        if (Left > 0)
            throw Refusal($"{Left} bytes follow its end");
    }

    /// <summary>One byte.</summary>
    public byte Byte(string field) => Take(field, 1)[0];

    /// <summary>One byte, 0 or 1.</summary>
    public bool Bool(string field) => Byte(field) switch
    {
        0 => false,
        1 => true,
        var other => throw Refusal($"{field} is {other}; a flag is 0 or 1"),
    };

    /// <summary>A number in 1 to 10 bytes; in no more than it needs.</summary>
    public ulong Varint(string field)
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = Byte(field);
            value |= (ulong)(part & 0x7F) << shift;
            if (part >= 0x80)
                continue;
            if ((part == 0 && shift > 0) || (shift == 63 && part > 1))
                throw Refusal($"{field} is a number of {shift / 7 + 1} bytes that ends in {part}; it needs fewer, or more than 64 bits");
            return value;
        }

        throw Refusal($"{field} is a number of more than 10 bytes");
    }

    /// <summary>How many follow; no more than can be left.</summary>
    /// <param name="field">Name of what follows.</param>
    /// <param name="leastBytes">Bytes that each of them takes at least.</param>
    public int Count(string field, int leastBytes)
    {
        var count = Varint(field);
        return count <= (ulong)(Left / leastBytes)
            ? (int)count
            : throw Refusal($"{field} has {count} entries of {leastBytes} bytes or more; {Left} bytes are left");
    }

    /// <summary>A whole number.</summary>
    public long Int64(string field)
    {
        var value = Varint(field);
        return (long)(value >> 1) ^ -(long)(value & 1);
    }

    /// <summary>A whole number.</summary>
    public int Int32(string field)
    {
        var value = Int64(field);
        return (int)value == value ? (int)value : throw Refusal($"{field} is {value}; at most 32 bits");
    }

    /// <summary>Eight bytes.</summary>
    public ulong Fixed64(string field) => BinaryPrimitives.ReadUInt64LittleEndian(Take(field, 8));

    /// <summary>Four bytes.</summary>
    public uint Fixed32(string field) => BinaryPrimitives.ReadUInt32LittleEndian(Take(field, 4));

    /// <summary>Eight bytes; any bits are a number.</summary>
    public double Double(string field) => BitConverter.UInt64BitsToDouble(Fixed64(field));

    /// <summary>A time span.</summary>
    public TimeSpan Duration(string field) => new(Int64(field));

    /// <summary>A value of an enumeration, one that has a name.</summary>
    public T Enum<T>(string field)
        where T : struct, Enum
    {
        var number = Int32(field);
        var value = (T)System.Enum.ToObject(typeof(T), number);
        return System.Enum.IsDefined(value) ? value : throw Refusal($"{field} is {number}; {typeof(T).Name} has no such value");
    }

    /// <summary>UTF-8 of a length in bytes.</summary>
    /// <param name="field">Name of the text.</param>
    /// <param name="mostBytes">Bytes that are allowed.</param>
    public string Text(string field, int mostBytes = int.MaxValue)
    {
        var length = Count(field, 1);
        if (length > mostBytes)
            throw Refusal($"{field} has {length} bytes; at most {mostBytes}");
        var text = Take(field, length);
        return Utf8.IsValid(text) ? Encoding.UTF8.GetString(text) : throw Refusal($"{field} is not UTF-8");
    }

    /// <summary>A text of at most <see cref="WireLimits.NameBytes"/>.</summary>
    public string Name(string field) => Text(field, WireLimits.NameBytes);

    /// <summary>A value, or null.</summary>
    public T? Optional<T>(string field, Func<WireReader, T> read)
        where T : class => Bool(field) ? read(this) : null;

    /// <summary>A number, or null.</summary>
    public double? OptionalDouble(string field) => Bool(field) ? Double(field) : null;

    /// <summary>As many as were written.</summary>
    /// <param name="field">Name of the list.</param>
    /// <param name="leastBytes">Bytes that an entry takes at least; what keeps the memory in proportion to the frame.</param>
    /// <param name="read">Reads one.</param>
    public T[] List<T>(string field, int leastBytes, Func<WireReader, T> read)
    {
        Enter(field);
        var count = Count(field, leastBytes);
        var values = count == 0 ? [] : new T[count];
        for (var i = 0; i < values.Length; i++)
            values[i] = read(this);
        _depth--;
        return values;
    }

    /// <summary>Entries by key; no key twice.</summary>
    /// <param name="field">Name of the dictionary.</param>
    /// <param name="leastBytes">Bytes that an entry takes at least.</param>
    /// <param name="readKey">Reads a key.</param>
    /// <param name="readValue">Reads the value that follows it.</param>
    public IReadOnlyDictionary<TKey, TValue> Map<TKey, TValue>(
        string field, int leastBytes, Func<WireReader, TKey> readKey, Func<WireReader, TValue> readValue)
        where TKey : notnull
    {
        Enter(field);
        var count = Count(field, leastBytes);
        if (count == 0)
        {
            _depth--;
            return ReadOnlyDictionary<TKey, TValue>.Empty;
        }

        var map = new Dictionary<TKey, TValue>(count);
        for (var i = 0; i < count; i++)
        {
            var key = readKey(this);
            if (!map.TryAdd(key, readValue(this)))
                throw Refusal($"{field} has '{key}' twice");
        }

        _depth--;
        return map;
    }

    /// <summary>Numbers by name; no name twice.</summary>
    public IReadOnlyDictionary<string, double> Numbers(string field) => Map(field, 9, from => from.Name(field), from => from.Double(field));

    /// <summary>Values as they lie in memory; flags as bits.</summary>
    public T[] Array<T>(string field)
        where T : unmanaged
    {
        var count = Varint(field);
        return count <= int.MaxValue && BlockBytes<T>(count) <= (ulong)Left
            ? Block<T>(field, (int)count)
            : throw Refusal($"{field} has {count} values; {Left} bytes are left");
    }

    /// <summary>Rows of different lengths.</summary>
    public Ragged<T> Ragged<T>(string field)
        where T : unmanaged
    {
        // Nothing takes no memory: a frame of nothing but empty values would take most of all for its length.
        var rows = Count(field, 1);
        var offsets = rows == 0 ? s_noRows : new int[rows + 1];
        var total = 0UL;
        for (var row = 1; row < offsets.Length; row++)
        {
            // One length is bounded before it is added, so that no sum can overflow.
            var length = Varint(field);
            var bytes = length > int.MaxValue ? ulong.MaxValue : BlockBytes<T>(total + length);
            if (bytes > (ulong)Left)
                throw Refusal($"row {row - 1} of {field} has {length} values; with those before it they take more than the {Left} bytes that are left");
            total += length;
            offsets[row] = (int)total;
        }

        var values = Block<T>(field, (int)total);
        try
        {
            return new Ragged<T>(offsets, values);
        }
        catch (ArgumentException error)
        {
            throw Refusal($"{field} is not ragged rows: {error.Message}");
        }
    }

    /// <summary>What to throw when a value cannot be.</summary>
    /// <param name="reason">The field, its value and what is allowed.</param>
    public WireFormatException Refusal(string reason) => new($"{what}: {reason} (byte {_at} of {bytes.Length}).");

    private static ulong BlockBytes<T>(ulong values)
        where T : unmanaged => typeof(T) == typeof(bool) ? (values + 7) / 8 : values * (ulong)Unsafe.SizeOf<T>();

    private void Enter(string field)
    {
        if (++_depth > WireLimits.Depth)
            throw Refusal($"{field} is a list {_depth} deep; at most {WireLimits.Depth}");
    }

    private T[] Block<T>(string field, int count)
        where T : unmanaged
    {
        if (typeof(T) == typeof(bool))
            return (T[])(object)Bits(field, count);
        var block = Take(field, checked(count * Unsafe.SizeOf<T>()));
        return count == 0 ? [] : MemoryMarshal.Cast<byte, T>(block).ToArray();
    }

    private bool[] Bits(string field, int count)
    {
        var bits = Take(field, (int)BlockBytes<bool>((ulong)count));
        var flags = count == 0 ? [] : new bool[count];
        for (var i = 0; i < count; i++)
            flags[i] = (bits[i >> 3] >> (i & 7) & 1) != 0;
        return count % 8 == 0 || bits[^1] >> count % 8 == 0
            ? flags
            : throw Refusal($"{field} has bits set after its last flag");
    }

    private ReadOnlySpan<byte> Take(string field, int count)
    {
        if (count > Left)
            throw Refusal($"{field} takes {count} bytes; {Left} are left");
        var taken = bytes.Span.Slice(_at, count);
        _at += count;
        return taken;
    }
}
