using System.Buffers.Binary;
using System.Text.Json;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Models.Safetensors;

/// <summary>Writes safetensors files: to a temporary name, flushed, then renamed, so that a file is whole or absent.</summary>
internal static class SafetensorsWriter
{
    private const long PieceElements = 16 << 20;

    /// <summary>Writes tensors under names, in the order given, converted to one element type.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">Names and tensors on any device; none is disposed.</param>
    /// <param name="type">Float32, Float16 or BFloat16.</param>
    public static void Write(string path, IReadOnlyList<(string Name, Tensor Value)> tensors, ScalarType type) =>
        Write(path, tensors, type, stream =>
        {
            foreach (var (_, value) in tensors)
                WriteData(stream, value, type);
        });

    /// <summary>Writes parameters one by one.</summary>
    /// <param name="path">The file.</param>
    /// <param name="slots">In the order written.</param>
    /// <param name="type">Float32, Float16 or BFloat16.</param>
    /// <param name="read">Makes a parameter readable while it is written; null where all are.</param>
    public static void Write(string path, IReadOnlyList<ParameterSlot> slots, ScalarType type, Func<ParameterSlot, IDisposable>? read) =>
        Write(path, [.. slots.Select(slot => (slot.Name, slot.Value))], type, stream =>
        {
            foreach (var slot in slots)
            {
                using var reading = read?.Invoke(slot);
                WriteData(stream, slot.Value, type);
            }
        });

    private static void Write(string path, IReadOnlyList<(string Name, Tensor Value)> heads, ScalarType type, Action<FileStream> writeData)
    {
        var temporary = path + ".part";
        using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16))
        {
            WriteHeader(stream, heads, type);
            writeData(stream);
            stream.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>Bytes of one element.</summary>
    public static int WidthOf(ScalarType type) => type == ScalarType.Float32 ? 4 : 2;

    private static void WriteHeader(FileStream stream, IReadOnlyList<(string Name, Tensor Value)> tensors, ScalarType type)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            json.WriteString("format", "pt");
            json.WriteEndObject();
            long offset = 0;
            foreach (var (name, value) in tensors)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", type switch { ScalarType.Float32 => "F32", ScalarType.Float16 => "F16", _ => "BF16" });
                json.WriteStartArray("shape");
                foreach (var size in value.shape)
                    json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += value.numel() * WidthOf(type));
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        // Spaces after the JSON make the data start at a multiple of eight, as readers that map the file like it.
        while (buffer.Length % 8 != 0)
            buffer.WriteByte((byte)' ');
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)buffer.Length);
        stream.Write(length);
        buffer.WriteTo(stream);
    }

    private static void WriteData(FileStream stream, Tensor value, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var flat = value.detach().contiguous().view(-1);
        for (long done = 0; done < flat.numel(); done += PieceElements)
        {
            using var piece = NewDisposeScope();
            stream.Write(flat.narrow(0, done, Math.Min(PieceElements, flat.numel() - done)).to(type).cpu().contiguous().bytes);
        }
    }
}
