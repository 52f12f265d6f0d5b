using System.IO.MemoryMappedFiles;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>A file that several processes have in their memory. Its name goes as soon as all have it, so nothing stays behind.</summary>
internal sealed unsafe class MappedSegment : ISharedSegment
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private byte* _address;

    private MappedSegment(FileStream stream, long bytes)
    {
        Bytes = bytes;
        _file = MemoryMappedFile.CreateFromFile(stream, null, bytes, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, bytes);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _address);
    }

    /// <inheritdoc/>
    public long Bytes { get; }

    /// <summary>Where files live in memory; else where temporary files do.</summary>
    internal static string Folder => Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();

    /// <summary>A new segment under a name that nobody can know by chance.</summary>
    /// <exception cref="IOException">There is no room.</exception>
    public static MappedSegment Create(long bytes, out string path)
    {
        path = Path.Combine(Folder, $"colossalchat-{Guid.NewGuid():N}");
        // Room is taken at once: a page that finds none later would end the process.
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite | FileShare.Delete,
            PreallocationSize = bytes,
        };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        var stream = new FileStream(path, options);
        try
        {
            stream.SetLength(bytes);
            return new MappedSegment(stream, bytes);
        }
        catch (IOException)
        {
            stream.Dispose();
            File.Delete(path);
            throw;
        }
    }

    /// <summary>The segment of another process.</summary>
    /// <exception cref="IOException">There is none of that name here, or it has another size.</exception>
    public static MappedSegment Open(string path, long bytes)
    {
        var stream = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        if (stream.Length == bytes)
            return new MappedSegment(stream, bytes);
        stream.Dispose();
        throw new IOException($"{path} has another size than {bytes} bytes.");
    }

    /// <inheritdoc/>
    public Span<byte> Span(long offset, int length)
    {
        ObjectDisposedException.ThrowIf(_address is null, this);
        SegmentBounds.Check(offset, length, Bytes);
        return new Span<byte>(_address + offset, length);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_address is null)
            return;
        _address = null;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }
}
