namespace ColossalChat.Transfer;

/// <summary>Where a tensor's bytes lie in <see cref="StateFiles"/>.</summary>
internal readonly record struct StatePlace(bool IsInMemory, long Offset);

/// <summary>Names of <see cref="StateFiles"/> before both processes have them.</summary>
internal sealed record StateFileNames(string Memory, string Disk);

/// <summary>
/// The bytes of one copied state, in two files that the keeper and the reader have open: one lives in memory, and one is for
/// what is too much. They have no names once both have them, so nothing stays behind however either process ends. Files that
/// are read and written, and not mapped: a full disk is an error then, where a mapped page that finds no room would end the
/// process. Safe to use from several threads, which agree among themselves who writes when.
/// </summary>
internal sealed class StateFiles : IDisposable
{
    private readonly FileStream _memory;
    private readonly FileStream _disk;

    private StateFiles(FileStream memory, FileStream disk) => (_memory, _disk) = (memory, disk);

    /// <summary>New files, empty.</summary>
    /// <param name="folder">Where the one on a disk goes; made when absent.</param>
    /// <param name="names">Whoever opens them takes the names away.</param>
    public static StateFiles Create(string folder, out StateFileNames names)
    {
        Directory.CreateDirectory(folder);
        var id = Guid.NewGuid().ToString("N");
        names = new StateFileNames(Path.Combine(MappedSegment.Folder, $"colossalchat-{id}"), Path.Combine(Path.GetFullPath(folder), $".{id}.copy"));
        return Both(names, FileMode.CreateNew);
    }

    /// <summary>The files that another process made; from then on they have no names.</summary>
    public static StateFiles Open(StateFileNames names)
    {
        var files = Both(names, FileMode.Open);
        Forget(names);
        return files;
    }

    /// <summary>Takes the names away, where that has not been done.</summary>
    public static void Forget(StateFileNames names)
    {
        File.Delete(names.Memory);
        File.Delete(names.Disk);
    }

    /// <summary>Fills a span.</summary>
    public void Read(StatePlace place, Span<byte> destination)
    {
        var file = FileOf(place.IsInMemory);
        for (var done = 0; done < destination.Length;)
        {
            var read = RandomAccess.Read(file.SafeFileHandle, destination[done..], place.Offset + done);
            if (read == 0)
                throw new EndOfStreamException($"{file.Name} ends at {place.Offset + done}, within a tensor that begins at {place.Offset}.");
            done += read;
        }
    }

    /// <summary>Writes bytes, over what was there.</summary>
    /// <exception cref="IOException">There is no room.</exception>
    public void Write(StatePlace place, ReadOnlySpan<byte> data) =>
        RandomAccess.Write(FileOf(place.IsInMemory).SafeFileHandle, data, place.Offset);

    /// <summary>Gives back the room behind a place.</summary>
    public void CutAt(StatePlace end) => RandomAccess.SetLength(FileOf(end.IsInMemory).SafeFileHandle, end.Offset);

    /// <inheritdoc/>
    public void Dispose()
    {
        _memory.Dispose();
        _disk.Dispose();
    }

    private FileStream FileOf(bool isInMemory) => isInMemory ? _memory : _disk;

    private static StateFiles Both(StateFileNames names, FileMode mode)
    {
        var memory = One(names.Memory, mode);
        try
        {
            return new StateFiles(memory, One(names.Disk, mode));
        }
        catch
        {
            memory.Dispose();
            // A file without its twin is of no use to anybody.
            Forget(names);
            throw;
        }
    }

    private static FileStream One(string path, FileMode mode)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 0 };
        if (mode == FileMode.CreateNew && !OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
    }
}
