using System.IO.Hashing;
using System.Runtime.ExceptionServices;
using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Writes the role folders of a checkpoint. Whoever keeps a state writes it, everybody at the same time; this process writes
/// its own and those whose keeper is gone.
/// </summary>
internal static class ShardWriter
{
    private const int PieceLength = 1 << 20;

    /// <summary>Writes all states and puts them on the disk.</summary>
    /// <param name="folder">Of the checkpoint.</param>
    /// <param name="images">By role.</param>
    /// <returns>The files, in the order of the roles.</returns>
    /// <exception cref="IOException">Somebody could not write; nobody writes any more.</exception>
    public static IReadOnlyList<ManifestFile> Write(string folder, IReadOnlyDictionary<string, StateImage> images)
    {
        var shards = images.Select(image => new Shard(folder, image.Key, image.Value)).ToArray();
        var threads = shards.Where(shard => shard.IsKept).Select(Start).ToArray();
        foreach (var own in shards.Where(shard => !shard.IsKept))
            own.Write();
        // Also those of a checkpoint that failed: its folder must be nobody's before the next one begins.
        foreach (var thread in threads)
            thread.Join();
        shards.FirstOrDefault(shard => shard.Failure is not null)?.Failure!.Throw();
        return [.. shards.SelectMany(shard => shard.Files)];
    }

    /// <summary>Writes one role's files where somebody else wants them, and puts them on the disk.</summary>
    /// <param name="image">The state.</param>
    /// <param name="dataFile">Gets the bytes of all tensors.</param>
    /// <param name="indexFile">Gets what lies where in the data file.</param>
    /// <param name="indexHash">What is expected there.</param>
    /// <returns>The data file.</returns>
    /// <exception cref="InvalidOperationException">The state is not the one that is expected.</exception>
    public static WrittenFile WriteFiles(StateImage image, string dataFile, string indexFile, string indexHash)
    {
        var index = IndexOf(image);
        if (Checkpoints.HashOf(index) != indexHash)
            throw new InvalidOperationException($"the {image.TensorNames.Count} tensors and {image.JsonNames.Count} documents that are kept here are not those that it told of; all nodes must run the same version of the program");
        var folder = Path.GetDirectoryName(dataFile)!;
        Directory.CreateDirectory(folder);
        var data = WriteTensors(folder, Path.GetFileName(dataFile), image);
        WriteFile(folder, Path.GetRelativePath(folder, indexFile), index);
        return new WrittenFile(data.Bytes, data.Hash);
    }

    /// <summary>Writes a file and puts it on the disk.</summary>
    /// <param name="folder">Of the checkpoint.</param>
    /// <param name="path">Relative, with forward slashes.</param>
    /// <param name="content">All of it.</param>
    public static ManifestFile WriteFile(string folder, string path, ReadOnlySpan<byte> content)
    {
        using var stream = File.Create(Path.Combine(folder, path));
        stream.Write(content);
        stream.Flush(flushToDisk: true);
        return new ManifestFile(path, content.Length, Checkpoints.HashOf(content));
    }

    // It mostly waits for somebody else's disk.
    private static Thread Start(Shard shard)
    {
        var thread = new Thread(shard.Write) { IsBackground = true, Name = "shard" };
        thread.Start();
        return thread;
    }

    private static ManifestFile[] WriteRole(string folder, string role, StateImage image)
    {
        Directory.CreateDirectory(Path.Combine(folder, role));
        var (data, document) = ($"{role}/{StateIndex.DataFileName}", $"{role}/{StateIndex.FileName}");
        var index = IndexOf(image);
        if (image.Writer?.Write(FullPath(folder, data), FullPath(folder, document), index) is { } written)
            return [new ManifestFile(data, written.Bytes, written.Hash), new ManifestFile(document, index.Length, Checkpoints.HashOf(index))];

        // A keeper that only hung may still have the file open: from here on it writes into one that is nobody's.
        File.Delete(Path.Combine(folder, data));
        return [WriteTensors(folder, data, image), WriteFile(folder, document, index)];
    }

    // A keeper may have another current directory.
    private static string FullPath(string folder, string path) => Path.GetFullPath(Path.Combine(folder, path));

    private static byte[] IndexOf(StateImage image)
    {
        var (entries, offset) = (new List<StateEntry>(), 0L);
        foreach (var name in image.TensorNames)
        {
            var (type, shape) = image.Describe(name);
            var length = image.Data(name).Length;
            entries.Add(new StateEntry(name, type, shape, offset, length));
            offset += length;
        }

        var index = new StateIndex(entries, image.JsonNames.ToDictionary(name => name, image.ReadJson));
        return JsonSerializer.SerializeToUtf8Bytes(index, CheckpointJson.Options);
    }

    private static ManifestFile WriteTensors(string folder, string path, StateImage image)
    {
        var (whole, piece) = (new XxHash128(), new byte[PieceLength]);
        using var stream = File.Create(Path.Combine(folder, path));
        foreach (var data in image.TensorNames.Select(image.Data))
        {
            for (var start = 0; start < data.Length; start += piece.Length)
            {
                var next = piece.AsSpan(0, Math.Min(piece.Length, data.Length - start));
                data.Read(start, next);
                stream.Write(next);
                whole.Append(next);
            }
        }

        stream.Flush(flushToDisk: true);
        return new ManifestFile(path, stream.Length, Convert.ToHexStringLower(whole.GetCurrentHash()));
    }

    private sealed class Shard(string folder, string role, StateImage image)
    {
        public bool IsKept => image.Writer is not null;

        public ManifestFile[] Files { get; private set; } = [];

        public ExceptionDispatchInfo? Failure { get; private set; }

        public void Write()
        {
            try
            {
                Files = WriteRole(folder, role, image);
            }
            catch (Exception error)
            {
                Failure = ExceptionDispatchInfo.Capture(error);
            }
        }
    }
}
