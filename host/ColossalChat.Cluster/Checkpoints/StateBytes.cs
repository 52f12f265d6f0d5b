using System.IO.MemoryMappedFiles;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>One tensor's bytes in a copy of a role's state.</summary>
internal abstract class StateBytes
{
    /// <summary>Bytes.</summary>
    public abstract int Length { get; }

    /// <summary>Gives a part of the content.</summary>
    /// <param name="start">First byte.</param>
    /// <param name="destination">Filled whole.</param>
    public abstract void Read(int start, Span<byte> destination);
}

/// <summary>Those that somebody else keeps.</summary>
internal sealed class KeptBytes(IKeptState state, KeptTensor tensor) : StateBytes
{
    public override int Length => tensor.Bytes;

    public override void Read(int start, Span<byte> destination) => state.Read(tensor, start, destination);
}

/// <summary>Those that this process keeps, in memory that may be used again.</summary>
internal abstract class OwnBytes : StateBytes
{
    // Below it a file is not worth its page.
    private const int SmallestFile = 1 << 16;

    /// <summary>Memory for a copy, or a mapped file when the process would go beyond half of what it may use.</summary>
    /// <param name="length">Bytes.</param>
    /// <param name="folder">Where the file goes; null always takes memory.</param>
    public static OwnBytes New(int length, string? folder) =>
        folder is null || length < SmallestFile || ProcessMemory.Now() + length <= ProcessMemory.Allowed / 2
            ? new InMemory(length)
            : new InFile(length, folder);

    /// <summary>Takes the content over.</summary>
    /// <param name="data">As long as this.</param>
    public abstract void Set(ReadOnlySpan<byte> data);

    private sealed class InMemory(int length) : OwnBytes
    {
        private readonly byte[] _data = GC.AllocateUninitializedArray<byte>(length);

        public override int Length => _data.Length;

        public override void Set(ReadOnlySpan<byte> data) => data.CopyTo(_data);

        public override void Read(int start, Span<byte> destination) => _data.AsSpan(start, destination.Length).CopyTo(destination);
    }

    /// <summary>A file that has no name any more once it is mapped, so that nothing stays behind however the process ends.</summary>
    internal sealed class InFile : OwnBytes
    {
        private readonly MemoryMappedViewAccessor _view;

        public InFile(int length, string folder)
        {
            Length = length;
            Directory.CreateDirectory(folder);
            var path = Path.Combine(folder, $".{Guid.NewGuid():N}.copy");
            // Room is taken at once: a mapped page that finds none later would end the process without a word.
            var file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.ReadWrite,
                Share = FileShare.Delete,
                BufferSize = 0,
                Options = FileOptions.DeleteOnClose,
                PreallocationSize = length,
            });
            if (!OperatingSystem.IsWindows())
                File.Delete(path);
            using var mapped = MemoryMappedFile.CreateFromFile(file, null, length, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
            _view = mapped.CreateViewAccessor(0, length);
        }

        public override int Length { get; }

        public override void Set(ReadOnlySpan<byte> data) => _view.SafeMemoryMappedViewHandle.WriteSpan((ulong)_view.PointerOffset, data);

        public override void Read(int start, Span<byte> destination) => _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(_view.PointerOffset + start), destination);
    }
}
