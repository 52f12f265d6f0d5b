using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Models.Safetensors;

/// <summary>An open safetensors file; tensors are read one at a time, straight into their memory.</summary>
internal sealed class SafetensorsFile : IDisposable
{
    private const long PieceBytes = 64 << 20;
    private readonly FileStream _stream;
    private readonly Dictionary<string, TensorEntry> _entries;

    private SafetensorsFile(string path, FileStream stream, IReadOnlyList<TensorEntry> entries)
    {
        (Path, _stream, Entries) = (path, stream, entries);
        _entries = entries.ToDictionary(entry => entry.Name, StringComparer.Ordinal);
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Its tensors, in the order of their bytes.</summary>
    public IReadOnlyList<TensorEntry> Entries { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="UserErrorException">It is missing or broken.</exception>
    public static SafetensorsFile Open(string path)
    {
        FileStream stream;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 4096, FileOptions.SequentialScan);
        }
        catch (IOException e)
        {
            throw new UserErrorException($"{path} cannot be read: {e.Message}", ExitCode.NotFound, e);
        }

        try
        {
            return new SafetensorsFile(path, stream, SafetensorsHeader.Read(path, stream));
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads one tensor into host memory, in the file's own element type. The caller owns it.</summary>
    public Tensor Read(string name)
    {
        var entry = _entries[name];
        var tensor = empty(entry.Shape, entry.Type, CPU).DetachFromDisposeScope();
        var width = entry.Type == ScalarType.Float32 ? 4 : 2;
        using var flat = tensor.view(-1);
        for (long done = 0; done < entry.Bytes;)
        {
            var piece = Math.Min(PieceBytes, entry.Bytes - done);
            using var part = flat.narrow(0, done / width, piece / width);
            ReadPiece(part.bytes, entry, done);
            done += piece;
        }

        return tensor;
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private void ReadPiece(Span<byte> destination, TensorEntry entry, long offset)
    {
        while (destination.Length > 0)
        {
            var read = RandomAccess.Read(_stream.SafeFileHandle, destination, entry.Start + offset);
            if (read == 0)
                throw new UserErrorException($"{Path} ended while tensor {entry.Name} was read; something cut it short. Fetch the file again.");
            destination = destination[read..];
            offset += read;
        }
    }
}
