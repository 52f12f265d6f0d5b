using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace ColossalChat.Transfer;

/// <summary>
/// A block in a file that several processes of a machine use: a head with a table of chunks, then the content. All of it is
/// mapped. New content is written by calls all the same: a file without room is an error then, where a page would end the
/// process; what has been written once has its pages and is filled and read as memory, which is half as much work.
/// Lives as long as somebody holds it; safe to use from several threads.
/// </summary>
internal sealed unsafe class BlobFile : IDisposable
{
    /// <summary>Bytes of every chunk but the last.</summary>
    public const int ChunkLength = 1 << 20;

    // Head: 0 magic, 8 bytes of content, 16 block id, 32 token, 64 verified, 68 how many others have it open. Then 16 bytes a
    // chunk: its hash, and whether it is here.
    private const ulong Magic = 0x31424F4C42434343; // CCCBLOB1
    private const int HeadLength = 128;
    private const int EntryLength = 16;
    private const int PageLength = 4096;
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(2);
    private readonly object _changed = new();
    private readonly FileStream _stream;
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _head;
    private readonly long _start;
    private bool _isGuest;
    private bool _hasPages;
    private int _holders = 1;

    private BlobFile(FileStream stream, long bytes)
    {
        (_stream, Bytes, Chunks) = (stream, bytes, ChunksOf(bytes));
        _start = StartOf(Chunks);
        _map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        _view = _map.CreateViewAccessor(0, _start + bytes);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _head);
    }

    public string Path => _stream.Name;

    /// <summary>Size of the content.</summary>
    public long Bytes { get; }

    public int Chunks { get; }

    /// <summary>True when nobody in this process fills it any more, and it is not complete.</summary>
    public bool IsAbandoned { get; set; }

    public SafeFileHandle Handle => _stream.SafeFileHandle;

    /// <summary>True once a reader of this machine found the content to have its hash.</summary>
    public bool IsVerified
    {
        get => Volatile.Read(ref *(int*)(_head + 64)) != 0;
        set => Volatile.Write(ref *(int*)(_head + 64), value ? 1 : 0);
    }

    /// <summary>A new file with room for everything.</summary>
    /// <exception cref="IOException">There is no room, or a file of that name.</exception>
    public static BlobFile Create(string path, Guid block, ReadOnlySpan<byte> token, long bytes)
    {
        var length = StartOf(ChunksOf(bytes)) + bytes;
        var options = Options(FileMode.CreateNew);
        options.PreallocationSize = length;
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        var stream = new FileStream(path, options);
        try
        {
            stream.SetLength(length);
            Span<byte> head = stackalloc byte[HeadLength];
            head.Clear();
            BinaryPrimitives.WriteInt64LittleEndian(head[8..], bytes);
            block.TryWriteBytes(head[16..]);
            token.CopyTo(head[32..]);
            RandomAccess.Write(stream.SafeFileHandle, head, 0);
            var file = new BlobFile(stream, bytes);
            // Last: from now on others may use it.
            Volatile.Write(ref *(ulong*)file._head, Magic);
            return file;
        }
        catch
        {
            stream.Dispose();
            File.Delete(path);
            throw;
        }
    }

    /// <summary>The file that another process made; null when there is none here of that block.</summary>
    public static BlobFile? TryOpen(string path, Guid block, ReadOnlySpan<byte> token, long bytes)
    {
        FileStream? stream = null;
        try
        {
            if (!File.Exists(path))
                return null;
            stream = new FileStream(path, Options(FileMode.Open));
            Span<byte> head = stackalloc byte[HeadLength];
            var isOurs = stream.Length == StartOf(ChunksOf(bytes)) + bytes
                && RandomAccess.Read(stream.SafeFileHandle, head, 0) == HeadLength
                && BinaryPrimitives.ReadUInt64LittleEndian(head) == Magic;
            if (isOurs)
            {
                var file = new BlobFile(stream, bytes);
                stream = null;
                return file.TryEnter(block, token) ? file : null;
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The same as none: it went between the look and the opening, or another user made it.
            return null;
        }
        finally
        {
            stream?.Dispose();
        }

        return null;
    }

    /// <summary>Chunks of a block of so many bytes.</summary>
    public static int ChunksOf(long bytes) => (int)((bytes + ChunkLength - 1) / ChunkLength);

    public int LengthOf(int chunk) => (int)Math.Min(ChunkLength, Bytes - ((long)chunk * ChunkLength));

    /// <summary>Where a chunk begins in the file.</summary>
    public long PlaceOf(int chunk) => _start + ((long)chunk * ChunkLength);

    /// <summary>The XxHash3 of a chunk that is here.</summary>
    public ulong HashOf(int chunk) => *(ulong*)EntryOf(chunk);

    public bool IsReady(int chunk) => Volatile.Read(ref *(long*)(EntryOf(chunk) + 8)) != 0;

    /// <summary>Its bytes are written and have this hash: others may read it.</summary>
    public void MarkReady(int chunk, ulong hash)
    {
        *(ulong*)EntryOf(chunk) = hash;
        Volatile.Write(ref *(long*)(EntryOf(chunk) + 8), 1);
        lock (_changed)
            Monitor.PulseAll(_changed);
    }

    /// <summary>Waits until a chunk is here; false when the time is over before.</summary>
    public bool AwaitReady(int chunk, TimeSpan longest)
    {
        var deadline = new Deadline(longest);
        lock (_changed)
        {
            while (!IsReady(chunk))
            {
                if (deadline.HasPassed)
                    return false;
                // Another process wakes nobody here, so this looks again and again.
                Monitor.Wait(_changed, s_look);
            }
        }

        return true;
    }

    public void Write(long place, ReadOnlySpan<byte> bytes)
    {
        if (_hasPages)
            bytes.CopyTo(Memory(place, bytes.Length));
        else
            RandomAccess.Write(Handle, bytes, place);
    }

    public void Read(long place, Span<byte> destination) => Memory(place, destination.Length).CopyTo(destination);

    /// <summary>Takes its identity away, so that nobody else opens it any more.</summary>
    /// <returns>True when nobody else has it open either, here or in another process: then it may become another block.</returns>
    public bool TryRetire()
    {
        new Span<byte>(_head + 16, 16).Clear();
        // Whoever opens it counts itself first and looks for the identity then: one of the two sees the other.
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref *(int*)(_head + 68)) == 0 && Volatile.Read(ref _holders) == 1;
    }

    /// <summary>Makes a retired file another block, empty.</summary>
    public void Renew(Guid block, ReadOnlySpan<byte> token)
    {
        _hasPages = true;
        new Span<byte>(_head + HeadLength, Chunks * EntryLength).Clear();
        IsVerified = false;
        token.CopyTo(new Span<byte>(_head + 32, LaneLocation.TokenLength));
        Interlocked.MemoryBarrier();
        block.TryWriteBytes(new Span<byte>(_head + 16, 16));
    }

    /// <summary>One more who must dispose it; false when it has been let go.</summary>
    public bool TryHold()
    {
        for (var known = Volatile.Read(ref _holders); known > 0;)
        {
            var seen = Interlocked.CompareExchange(ref _holders, known + 1, known);
            if (seen == known)
                return true;
            known = seen;
        }

        return false;
    }

    /// <summary>One holder less; the last closes it. Its name is another matter.</summary>
    public void Dispose()
    {
        if (Interlocked.Decrement(ref _holders) != 0)
            return;
        if (_isGuest)
            Interlocked.Decrement(ref *(int*)(_head + 68));
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
        _stream.Dispose();
    }

    private static long StartOf(int chunks) => (HeadLength + ((long)chunks * EntryLength) + PageLength - 1) / PageLength * PageLength;

    private static FileStreamOptions Options(FileMode mode) =>
        new() { Mode = mode, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 0 };

    // Counts this among those who have it open, when it is that block; else closes it.
    private bool TryEnter(Guid block, ReadOnlySpan<byte> token)
    {
        Interlocked.Increment(ref *(int*)(_head + 68));
        _isGuest = true;
        var isIt = *(long*)(_head + 8) == Bytes && new Guid(new ReadOnlySpan<byte>(_head + 16, 16)) == block
            && CryptographicOperations.FixedTimeEquals(new ReadOnlySpan<byte>(_head + 32, LaneLocation.TokenLength), token);
        if (!isIt)
            Dispose();
        return isIt;
    }

    private Span<byte> Memory(long place, int length)
    {
        SegmentBounds.Check(place, length, _start + Bytes);
        return new Span<byte>(_head + place, length);
    }

    private byte* EntryOf(int chunk)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)chunk, (uint)Chunks, nameof(chunk));
        return _head + HeadLength + ((long)chunk * EntryLength);
    }
}
