using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

/// <summary>
/// Small documents from every rank to every rank: totals before a window, norms and metrics after it. All ranks see the
/// same list in rank order, so what each makes of it is the same.
/// </summary>
/// <param name="collective">The ranks.</param>
/// <param name="lane">Does the work.</param>
/// <param name="device">Where the collective wants its buffers.</param>
internal sealed class RankExchange(ICollective collective, CommunicationLane lane, Device device)
{
    private static readonly JsonSerializerOptions s_format = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>Gives one's own document and takes all.</summary>
    public IReadOnlyList<T> All<T>(T own)
    {
        if (collective.Ranks == 1)
            return [own];
        var bytes = JsonSerializer.SerializeToUtf8Bytes(own, s_format);
        var all = lane.Ask(() => Gather(bytes));
        return [.. all.Select(document => JsonSerializer.Deserialize<T>(document, s_format)!)];
    }

    private byte[][] Gather(byte[] own)
    {
        var lengths = GatherWords([own.Length], 1);
        var words = (int)((lengths.Max() + sizeof(long) - 1) / sizeof(long));
        var padded = new long[words];
        own.CopyTo(MemoryMarshal.AsBytes(padded.AsSpan()));
        var all = MemoryMarshal.AsBytes(GatherWords(padded, words).AsSpan());
        var documents = new byte[collective.Ranks][];
        for (var rank = 0; rank < documents.Length; rank++)
            documents[rank] = all.Slice(rank * words * sizeof(long), (int)lengths[rank]).ToArray();
        return documents;
    }

    private long[] GatherWords(long[] own, int words)
    {
        using var mine = tensor(own, int64, device);
        using var all = zeros([(long)words * collective.Ranks], int64, device);
        collective.AllGather(mine, all);
        using var read = all.cpu();
        return [.. read.data<long>()];
    }
}
