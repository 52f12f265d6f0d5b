using System.Text.Json;
using ColossalChat.Cluster;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Nodes;

/// <summary>What a node leaves in the run folder about itself, for whoever looks before or while a run goes on.</summary>
/// <param name="Card">Who it is.</param>
/// <param name="Address">Of its actor system.</param>
/// <param name="LaneHost">Under which others reach its lane.</param>
/// <param name="LanePort">Port of its lane.</param>
/// <param name="Certificate">Subject of its certificate; empty without TLS.</param>
/// <param name="CertificateEnds">Until when that is valid, UTC; null without TLS.</param>
internal sealed record NodeRecord(NodeCard Card, string Address, string LaneHost, int LanePort, string Certificate, DateTime? CertificateEnds)
{
    private const string FileName = "card.json";

    /// <summary>Leaves it there until the result is disposed. A killed process's stays, and its lock goes.</summary>
    /// <param name="runFolder">Folder of the run, in which the node has a folder of its own.</param>
    public IDisposable Leave(string runFolder)
    {
        var own = new RunFolder(Path.Combine(runFolder, "nodes", Card.Name));
        var hold = own.Hold();
        var draft = own.In(FileName + ".new");
        File.WriteAllBytes(draft, JsonSerializer.SerializeToUtf8Bytes(this, JsonLines.Format));
        File.Move(draft, own.In(FileName), overwrite: true);
        return new Left(own.In(FileName), hold);
    }

    /// <summary>Records of all processes that are alive, by name; as far as the storage shares locks.</summary>
    public static IReadOnlyList<NodeRecord> Living(string runFolder) => [.. All(runFolder).Where(node => node.IsAlive).Select(node => node.Record)];

    /// <summary>All records, by name, and whether their process is alive.</summary>
    public static IReadOnlyList<(NodeRecord Record, bool IsAlive)> All(string runFolder)
    {
        var nodes = Path.Combine(runFolder, "nodes");
        if (!Directory.Exists(nodes))
            return [];
        return [.. Directory.GetDirectories(nodes).Order(StringComparer.Ordinal)
            .Select(folder => (Record: Read(Path.Combine(folder, FileName)), IsAlive: new RunFolder(folder).IsHeld()))
            .Where(node => node.Record is not null)
            .Select(node => (node.Record!, node.IsAlive))];
    }

    // One of another version of the program, or of a node that leaves in this moment, tells nothing.
    private static NodeRecord? Read(string file)
    {
        try
        {
            return JsonSerializer.Deserialize<NodeRecord>(File.ReadAllBytes(file), JsonLines.Format) is { Card.Name: not null } record ? record : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    private sealed class Left(string file, IDisposable hold) : IDisposable
    {
        public void Dispose()
        {
            File.Delete(file);
            hold.Dispose();
        }
    }
}
