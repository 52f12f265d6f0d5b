namespace ColossalChat.Transfer;

/// <summary>
/// Files of withdrawn blocks for the next ones of the same size: memory that has been used before costs a fraction of
/// memory that the system must find and clear. Safe to use from several threads.
/// </summary>
/// <param name="most">Bytes kept at most.</param>
internal sealed class BlobPool(long most) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly LinkedList<BlobFile> _files = [];
    private long _bytes;

    /// <summary>A file of that size, which nobody else has any more; null when there is none.</summary>
    public BlobFile? TryTake(long bytes)
    {
        lock (_gate)
        {
            if (_files.LastOrDefault(file => file.Bytes == bytes) is not { } found)
                return null;
            _files.Remove(found);
            _bytes -= bytes;
            return found;
        }
    }

    /// <summary>Keeps a file, or removes it when somebody else may still read it or it is too large; the oldest make room.</summary>
    public void Give(BlobFile file)
    {
        lock (_gate)
        {
            if (file.Bytes > most || !file.TryRetire())
            {
                Remove(file);
                return;
            }

            _files.AddLast(file);
            _bytes += file.Bytes;
            while (_bytes > most)
                RemoveOldest();
        }
    }

    /// <summary>Gives all memory back.</summary>
    public void Dispose()
    {
        lock (_gate)
            while (_files.Count > 0)
                RemoveOldest();
    }

    private void RemoveOldest()
    {
        var oldest = _files.First!.Value;
        _files.RemoveFirst();
        _bytes -= oldest.Bytes;
        Remove(oldest);
    }

    // Who has it open reads on.
    private static void Remove(BlobFile file)
    {
        File.Delete(file.Path);
        file.Dispose();
    }
}
