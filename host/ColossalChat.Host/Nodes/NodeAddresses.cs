namespace ColossalChat.Host.Nodes;

/// <summary>Addresses that nodes leave in the run folder, for those that come later.</summary>
internal static class NodeAddresses
{
    private const string FileName = "address";
    private const int Most = 16;

    /// <summary>Leaves a node's address there until the result is disposed; one of a killed process stays.</summary>
    public static Left Leave(string runFolder, string node, string address)
    {
        var file = Path.Combine(runFolder, "nodes", node, FileName);
        File.WriteAllText(file, address);
        return new Left(file, address);
    }

    /// <summary>The newest addresses; some may be of nodes that are gone.</summary>
    public static IReadOnlyList<string> Of(string runFolder) =>
    [
        .. Directory.GetFiles(Path.Combine(runFolder, "nodes"), FileName, SearchOption.AllDirectories)
            .OrderByDescending(File.GetLastWriteTimeUtc)
            .Take(Most)
            .Select(Read)
            .Where(address => address.Length > 0),
    ];

    private static string Read(string file)
    {
        try
        {
            return File.ReadAllText(file).Trim();
        }
        catch (IOException)
        {
            return ""; // Its node left in this moment.
        }
    }

    /// <summary>An address that was left.</summary>
    internal sealed class Left(string file, string own) : IDisposable
    {
        /// <summary>The address.</summary>
        public string Own { get; } = own;

        /// <inheritdoc/>
        public void Dispose() => File.Delete(file);
    }
}
