using System.Buffers.Binary;
using System.Text.Json;
using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Models.Safetensors;

/// <summary>
/// Reads and checks the header of a safetensors file: eight bytes of length (little endian), a JSON object of
/// name to dtype, shape and byte range, then the bytes of all tensors without gaps.
/// </summary>
internal static class SafetensorsHeader
{
    private const long LargestHeader = 100_000_000;

    /// <summary>All tensors, in the order of their bytes.</summary>
    /// <exception cref="UserErrorException">The file is not a whole and consistent safetensors file.</exception>
    public static IReadOnlyList<TensorEntry> Read(string path, Stream stream)
    {
        var length = stream.Length;
        Span<byte> prefix = stackalloc byte[8];
        if (length < 8 || stream.ReadAtLeast(prefix, 8, throwOnEndOfStream: false) < 8)
            throw Broken(path, $"it has {length} bytes, fewer than the 8 of a header length");
        var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength is < 2 or > LargestHeader || (long)headerLength > length - 8)
            throw Broken(path, $"its header length is {headerLength}; the file has {length} bytes and headers at most {LargestHeader}");
        var header = new byte[headerLength];
        if (stream.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length)
            throw Broken(path, "it ends inside its header");
        return Parse(path, header, 8 + (long)headerLength, length);
    }

    private static List<TensorEntry> Parse(string path, byte[] header, long dataStart, long fileLength)
    {
        try
        {
            using var json = JsonDocument.Parse(header, new JsonDocumentOptions { MaxDepth = 8 });
            if (json.RootElement.ValueKind != JsonValueKind.Object)
                throw Broken(path, "its header is not a JSON object");
            var entries = new List<TensorEntry>();
            var names = new HashSet<string>(StringComparer.Ordinal);
            foreach (var property in json.RootElement.EnumerateObject())
            {
                if (!names.Add(property.Name))
                    throw Broken(path, $"tensor {property.Name} is named twice");
                if (property.Name != "__metadata__")
                    entries.Add(Entry(path, property, dataStart, fileLength));
            }

            CheckCoverage(path, entries, dataStart, fileLength);
            return entries;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: text with an unpaired surrogate escape.
            throw new UserErrorException($"{path} is broken: its header is not JSON ({e.Message}). Fetch the file again.", inner: e);
        }
    }

    private static TensorEntry Entry(string path, JsonProperty property, long dataStart, long fileLength)
    {
        var (name, value) = (property.Name, property.Value);
        if (value.ValueKind != JsonValueKind.Object
            || !value.TryGetProperty("dtype", out var type) || type.ValueKind != JsonValueKind.String
            || !value.TryGetProperty("shape", out var sizes) || sizes.ValueKind != JsonValueKind.Array
            || !value.TryGetProperty("data_offsets", out var offsets) || offsets.ValueKind != JsonValueKind.Array)
            throw Broken(path, $"tensor {name} lacks dtype, shape or data_offsets");
        var scalar = type.GetString() switch
        {
            "F32" => ScalarType.Float32,
            "F16" => ScalarType.Float16,
            "BF16" => ScalarType.BFloat16,
            _ => throw new UserErrorException($"{path}: tensor {name} has dtype {type.GetString()}; F32, F16 and BF16 are supported. Convert the model first."),
        };
        var shape = Integers(path, name, "shape", sizes);
        var range = Integers(path, name, "data_offsets", offsets);
        if (range.Length != 2 || range[0] > range[1] || range[1] > fileLength - dataStart)
            throw Broken(path, $"tensor {name} has data_offsets [{string.Join(", ", range)}] outside its {fileLength - dataStart} data bytes");
        long needed = scalar == ScalarType.Float32 ? 4 : 2;
        foreach (var size in shape)
        {
            if (size != 0 && needed > long.MaxValue / size)
                throw Broken(path, $"tensor {name} has the impossible shape [{string.Join(", ", shape)}]");
            needed *= size;
        }

        return needed == range[1] - range[0]
            ? new TensorEntry(name, scalar, shape, dataStart + range[0], needed)
            : throw Broken(path, $"tensor {name} of shape [{string.Join(", ", shape)}] needs {needed} bytes; its data_offsets give {range[1] - range[0]}");
    }

    private static long[] Integers(string path, string name, string what, JsonElement array)
    {
        var numbers = new long[array.GetArrayLength()];
        if (numbers.Length > 16)
            throw Broken(path, $"tensor {name} has {numbers.Length} numbers in {what}");
        var i = 0;
        foreach (var item in array.EnumerateArray())
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out numbers[i]) || numbers[i++] < 0)
                throw Broken(path, $"tensor {name} has {item.GetRawText()} in {what}");
        return numbers;
    }

    private static void CheckCoverage(string path, List<TensorEntry> entries, long dataStart, long fileLength)
    {
        entries.Sort((a, b) => (a.Start, a.Bytes).CompareTo((b.Start, b.Bytes)));
        var end = dataStart;
        foreach (var entry in entries)
        {
            if (entry.Start != end)
                throw Broken(path, $"tensor {entry.Name} starts at byte {entry.Start}, {(entry.Start < end ? "inside the tensor before it" : $"after a gap from byte {end}")}");
            end += entry.Bytes;
        }

        if (end != fileLength)
            throw Broken(path, $"its tensors end at byte {end}; the file has {fileLength}");
    }

    private static UserErrorException Broken(string path, string why) =>
        new($"{path} is broken: {why}. Fetch or export the file again.");
}
