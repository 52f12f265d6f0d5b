namespace ColossalChat.Transfer;

/// <summary>
/// A block of another machine in this one's memory, filled by one process of the machine (the carrier) and read by all.
/// Whoever is the carrier also serves it to readers of other machines, until the publisher withdraws it.
/// </summary>
internal sealed class Spool : IDisposable
{
    private const string Content = "block";
    private const string CarrierLock = "carrier";
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(2);
    private readonly string _folder;
    private readonly FileStream? _held;

    private Spool(LaneLocation location, string folder, FileStream? held, BlobFile? file) =>
        (Location, _folder, _held, File) = (location, folder, held, file);

    public LaneLocation Location { get; }

    /// <summary>Null when the machine has no room for it: then each reader fetches for itself, and serves nobody.</summary>
    public BlobFile? File { get; }

    /// <summary>This process among the readers of the block.</summary>
    public Guid Reader { get; } = Guid.NewGuid();

    /// <summary>Fetches that use it now; the owner's lock guards it.</summary>
    public int Users { get; set; }

    /// <summary>To the publisher, while this process serves the block.</summary>
    public LaneLine? Registration { get; set; }

    /// <summary>For one reader that keeps nothing.</summary>
    public static Spool Without(LaneLocation location) => new(location, "", null, null);

    /// <summary>The machine's file for a block, made when it is not there.</summary>
    public static Spool Open(LaneLocation location, long bytes, string folder, TimeSpan longest)
    {
        var deadline = new Deadline(longest);
        while (true)
        {
            if (LaneFolder.TryShare(folder) is { } held)
            {
                try
                {
                    if (TryFile(location, bytes, folder) is { } file)
                        return new Spool(location, folder, held, file);
                }
                catch (Exception error) when (error is IOException or UnauthorizedAccessException)
                {
                    // No room.
                    held.Dispose();
                    LaneFolder.RemoveIfUnheld(folder);
                    return new Spool(location, folder, null, null);
                }

                held.Dispose();
            }

            if (deadline.HasPassed)
                return new Spool(location, folder, null, null);
            Thread.Sleep(s_retry);
        }
    }

    /// <summary>Makes the caller the one who fills it, until the result is disposed or the process ends; null while somebody else is.</summary>
    public IDisposable? TryCarry() => TryLock(_folder);

    /// <inheritdoc/>
    public void Dispose()
    {
        Registration?.Dispose();
        if (File is not null)
            File.IsAbandoned = true;
        File?.Dispose();
        _held?.Dispose();
        if (_held is not null)
            LaneFolder.RemoveIfUnheld(_folder);
    }

    // Null while somebody else makes it.
    private static BlobFile? TryFile(LaneLocation location, long bytes, string folder)
    {
        var path = Path.Combine(folder, Content);
        if (BlobFile.TryOpen(path, location.Block, location.Token, bytes) is { } known)
            return known;
        using var alone = TryLock(folder);
        if (alone is null)
            return null;
        if (BlobFile.TryOpen(path, location.Block, location.Token, bytes) is { } meanwhile)
            return meanwhile;
        // Left by a process that ended while it made the file.
        System.IO.File.Delete(path);
        return BlobFile.Create(path, location.Block, location.Token, bytes);
    }

    private static FileStream? TryLock(string folder)
    {
        try
        {
            return new FileStream(Path.Combine(folder, CarrierLock), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            return null;
        }
    }
}
