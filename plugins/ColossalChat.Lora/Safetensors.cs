using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;

namespace ColossalChat.Lora;

/// <summary>One tensor of a safetensors file.</summary>
/// <param name="Name">Name, unique in the file.</param>
/// <param name="Type">Element type as the format writes it, such as F32.</param>
/// <param name="Shape">Sizes.</param>
/// <param name="Data">Elements in row-major order, little-endian.</param>
internal sealed record SafetensorsEntry(string Name, string Type, long[] Shape, byte[] Data);

/// <summary>
/// Small safetensors files (adapters), read and written whole: 8 bytes header length, a JSON header, then the tensors
/// back to back (format 0.4).
/// </summary>
internal static class Safetensors
{
    private const int Alignment = 8;

    /// <summary>Writes the file, complete or not at all.</summary>
    public static void Write(string file, IReadOnlyList<SafetensorsEntry> tensors)
    {
        var header = new JsonObject { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };
        var offset = 0L;
        foreach (var tensor in tensors)
        {
            header[tensor.Name] = new JsonObject
            {
                ["dtype"] = tensor.Type,
                ["shape"] = new JsonArray([.. tensor.Shape.Select(size => JsonValue.Create(size))]),
                ["data_offsets"] = new JsonArray(offset, offset += tensor.Data.Length),
            };
        }

        var json = JsonSerializer.SerializeToUtf8Bytes(header);
        var padded = (json.Length + Alignment - 1) / Alignment * Alignment;
        using (var stream = File.Create(file + ".part"))
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, padded);
            stream.Write(length);
            stream.Write(json);
            for (var i = json.Length; i < padded; i++)
                stream.WriteByte((byte)' ');
            foreach (var tensor in tensors)
                stream.Write(tensor.Data);
        }

        File.Move(file + ".part", file, overwrite: true);
    }

    /// <summary>Reads the file. Every byte must belong to exactly one tensor.</summary>
    /// <exception cref="UserErrorException">The file is absent or broken; the message says where.</exception>
    public static IReadOnlyList<SafetensorsEntry> Read(string file)
    {
        if (!File.Exists(file))
            throw new UserErrorException($"'{file}' does not exist.", ExitCode.NotFound);
        var bytes = File.ReadAllBytes(file);
        try
        {
            return Parse(bytes);
        }
        catch (Exception error) when (error is JsonException or InvalidDataException or InvalidOperationException or FormatException or KeyNotFoundException or OverflowException)
        {
            throw new UserErrorException($"'{file}' is no whole safetensors file: {error.Message}", ExitCode.Invalid, error);
        }
    }

    private static List<SafetensorsEntry> Parse(byte[] bytes)
    {
        var headerLength = bytes.Length < 8 ? -1 : BinaryPrimitives.ReadInt64LittleEndian(bytes);
        if (headerLength < 2 || headerLength > bytes.Length - 8)
            throw new InvalidDataException($"its header cannot be {headerLength} bytes long in {bytes.Length} bytes.");
        var data = bytes.AsMemory(8 + (int)headerLength);
        using var header = JsonDocument.Parse(bytes.AsMemory(8, (int)headerLength));
        var tensors = new List<SafetensorsEntry>();
        var end = 0L;
        foreach (var property in header.RootElement.EnumerateObject().Where(p => p.Name != "__metadata__").OrderBy(p => p.Value.GetProperty("data_offsets")[0].GetInt64()))
        {
            var shape = property.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()).ToArray();
            var type = property.Value.GetProperty("dtype").GetString()!;
            var (from, to) = (property.Value.GetProperty("data_offsets")[0].GetInt64(), property.Value.GetProperty("data_offsets")[1].GetInt64());
            var size = shape.Aggregate(ElementSize(type), (product, length) => checked(product * length));
            if (from != end || to - from != size || to > data.Length)
                throw new InvalidDataException($"tensor '{property.Name}' lies at {from} to {to}, expected {end} to {end + size}; there are {data.Length} bytes.");
            tensors.Add(new SafetensorsEntry(property.Name, type, shape, data[(int)from..(int)to].ToArray()));
            end = to;
        }

        return end == data.Length ? tensors : throw new InvalidDataException($"{data.Length - end} bytes belong to no tensor.");
    }

    private static long ElementSize(string type) => type switch
    {
        "F64" or "I64" or "U64" => 8,
        "F32" or "I32" or "U32" => 4,
        "F16" or "BF16" or "I16" or "U16" => 2,
        "I8" or "U8" or "BOOL" => 1,
        _ => throw new InvalidDataException($"element type {type} is not known."),
    };
}
