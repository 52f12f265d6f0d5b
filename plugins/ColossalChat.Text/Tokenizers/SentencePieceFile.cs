using System.Buffers.Binary;
using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Kinds of pieces, with the numbers of the file format.</summary>
internal enum PieceType
{
    /// <summary>Plain text.</summary>
    Normal = 1,

    /// <summary>Stands for what cannot be spelled.</summary>
    Unknown = 2,

    /// <summary>Special.</summary>
    Control = 3,

    /// <summary>Plain text added by hand.</summary>
    UserDefined = 4,

    /// <summary>Never used.</summary>
    Unused = 5,

    /// <summary>One byte, spelled <c>&lt;0x0A&gt;</c>.</summary>
    Byte = 6,
}

/// <summary>One entry of a SentencePiece vocabulary; its id is its place.</summary>
internal sealed record SentencePiece(string Text, float Score, PieceType Type);

/// <summary>
/// The parts of a <c>tokenizer.model</c> file that decide ids: a protocol buffer, read and written without its
/// compiler. Field numbers are those of sentencepiece_model.proto.
/// </summary>
internal sealed record SentencePieceFile
{
    private const int Varint = 0;
    private const int Fixed64 = 1;
    private const int Bytes = 2;
    private const int Fixed32 = 5;

    /// <summary>The vocabulary in the order of ids.</summary>
    public required IReadOnlyList<SentencePiece> Pieces { get; init; }

    /// <summary>1 unigram, 2 BPE, 3 words, 4 characters.</summary>
    public int ModelType { get; init; } = 1;

    /// <summary>Id of the unknown piece.</summary>
    public int UnknownId { get; init; }

    /// <summary>Id of the first token of a sequence; negative when there is none.</summary>
    public int BosId { get; init; } = 1;

    /// <summary>Id of the last token of a sequence; negative when there is none.</summary>
    public int EosId { get; init; } = 2;

    /// <summary>True when text gets a space in front.</summary>
    public bool AddsLeadingSpace { get; init; } = true;

    /// <summary>True when the file can be one: its first field is a piece.</summary>
    public static bool LooksLikeOne(string file)
    {
        using var stream = File.OpenRead(file);
        return stream.ReadByte() == ((1 << 3) | Bytes);
    }

    /// <summary>Reads a file.</summary>
    public static SentencePieceFile Parse(string file, ReadOnlySpan<byte> bytes)
    {
        try
        {
            var pieces = new List<SentencePiece>();
            var result = new SentencePieceFile { Pieces = pieces };
            while (!bytes.IsEmpty)
            {
                var (field, _, content) = Next(ref bytes);
                result = field switch
                {
                    1 => AddPiece(result, pieces, content),
                    2 => WithTrainer(result, content),
                    3 => WithNormalizer(result, content),
                    _ => result,
                };
            }

            return result;
        }
        catch (Exception error) when (error is ArgumentException or IndexOutOfRangeException)
        {
            throw new UserErrorException($"{file} is not a SentencePiece model, or it is cut short. Copy it again.", inner: error);
        }
    }

    /// <summary>Writes a file that other readers accept.</summary>
    public byte[] ToBytes()
    {
        using var file = new MemoryStream();
        foreach (var piece in Pieces)
        {
            using var entry = new MemoryStream();
            WriteBytes(entry, 1, Encoding.UTF8.GetBytes(piece.Text));
            WriteVarint(entry, (2 << 3) | Fixed32);
            var score = new byte[4];
            BinaryPrimitives.WriteSingleLittleEndian(score, piece.Score);
            entry.Write(score);
            WriteNumber(entry, 3, (long)piece.Type);
            WriteBytes(file, 1, entry.ToArray());
        }

        using var trainer = new MemoryStream();
        WriteNumber(trainer, 3, ModelType);
        WriteNumber(trainer, 35, Pieces.Any(piece => piece.Type == PieceType.Byte) ? 1 : 0);
        WriteNumber(trainer, 40, UnknownId);
        WriteNumber(trainer, 41, BosId);
        WriteNumber(trainer, 42, EosId);
        WriteBytes(trainer, 45, TextAt(UnknownId));
        WriteBytes(trainer, 46, TextAt(BosId));
        WriteBytes(trainer, 47, TextAt(EosId));
        WriteBytes(file, 2, trainer.ToArray());

        using var normalizer = new MemoryStream();
        WriteBytes(normalizer, 1, "identity"u8.ToArray());
        WriteNumber(normalizer, 3, AddsLeadingSpace ? 1 : 0);
        WriteNumber(normalizer, 4, 0);
        WriteNumber(normalizer, 5, 1);
        WriteBytes(file, 3, normalizer.ToArray());
        return file.ToArray();
    }

    private byte[] TextAt(int id) => id >= 0 && id < Pieces.Count ? Encoding.UTF8.GetBytes(Pieces[id].Text) : [];

    private static SentencePieceFile AddPiece(SentencePieceFile result, List<SentencePiece> pieces, ReadOnlySpan<byte> bytes)
    {
        var (text, score, type) = ("", 0f, PieceType.Normal);
        while (!bytes.IsEmpty)
        {
            var (field, number, content) = Next(ref bytes);
            switch (field)
            {
                case 1:
                    text = Encoding.UTF8.GetString(content);
                    break;
                case 2:
                    score = BitConverter.UInt32BitsToSingle((uint)number);
                    break;
                case 3:
                    type = (PieceType)number;
                    break;
            }
        }

        pieces.Add(new SentencePiece(text, score, type));
        return result;
    }

    private static SentencePieceFile WithTrainer(SentencePieceFile result, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var (field, number, _) = Next(ref bytes);
            result = field switch
            {
                3 => result with { ModelType = (int)number },
                40 => result with { UnknownId = (int)number },
                41 => result with { BosId = (int)number },
                42 => result with { EosId = (int)number },
                _ => result,
            };
        }

        return result;
    }

    private static SentencePieceFile WithNormalizer(SentencePieceFile result, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var (field, number, _) = Next(ref bytes);
            if (field == 3)
                result = result with { AddsLeadingSpace = number != 0 };
        }

        return result;
    }

    // One field: its number, and either its value or its content.
    private static Field Next(ref ReadOnlySpan<byte> bytes)
    {
        var key = ReadVarint(ref bytes);
        var (field, wire) = ((int)(key >> 3), (int)(key & 7));
        switch (wire)
        {
            case Varint:
                return new Field(field, ReadVarint(ref bytes), []);
            case Bytes:
                var length = checked((int)Math.Min(ReadVarint(ref bytes), int.MaxValue));
                var content = bytes[..length];
                bytes = bytes[length..];
                return new Field(field, 0, content);
            case Fixed32:
                var small = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
                bytes = bytes[4..];
                return new Field(field, small, []);
            case Fixed64:
                var large = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
                bytes = bytes[8..];
                return new Field(field, large, []);
            default:
                throw new ArgumentException($"wire type {wire}");
        }
    }

    private static ulong ReadVarint(ref ReadOnlySpan<byte> bytes)
    {
        var value = 0ul;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = bytes[0];
            bytes = bytes[1..];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
                return value;
        }

        throw new ArgumentException("number too long");
    }

    private static void WriteNumber(Stream stream, int field, long value)
    {
        WriteVarint(stream, (ulong)((field << 3) | Varint));
        WriteVarint(stream, (ulong)value);
    }

    private static void WriteBytes(Stream stream, int field, byte[] content)
    {
        WriteVarint(stream, (ulong)((field << 3) | Bytes));
        WriteVarint(stream, (ulong)content.Length);
        stream.Write(content);
    }

    private static void WriteVarint(Stream stream, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
            stream.WriteByte((byte)(value | 0x80));
        stream.WriteByte((byte)value);
    }

    private readonly ref struct Field(int number, ulong value, ReadOnlySpan<byte> content)
    {
        private readonly ReadOnlySpan<byte> _content = content;

        public void Deconstruct(out int field, out ulong scalar, out ReadOnlySpan<byte> bytes)
        {
            field = number;
            scalar = value;
            bytes = _content;
        }
    }
}
