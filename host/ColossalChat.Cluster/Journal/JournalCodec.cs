using System.Collections.Immutable;
using ColossalChat.Contracts;
using ColossalChat.Journal;

namespace ColossalChat.Cluster;

/// <summary>What a window's parts are made from: parts of windows that have equal ones are equal.</summary>
/// <param name="Origin"><see cref="JournalSettings.ExperienceOrigin"/>.</param>
/// <param name="Batches">How many.</param>
/// <param name="Needed">Kinds of scores, in order.</param>
/// <param name="Weights">Content hash of each published model.</param>
internal sealed record WindowSource(string Origin, int Batches, ImmutableArray<ScoreKind> Needed, ImmutableSortedDictionary<string, string> Weights)
{
    public bool IsSameAs(WindowSource other) => Origin == other.Origin
        && Batches == other.Batches
        && Needed.SequenceEqual(other.Needed)
        && Weights.SequenceEqual(other.Weights);
}

/// <summary>Contents of the journal's records; the parts are written as they are on the wire.</summary>
internal static class JournalCodec
{
    /// <summary>Part number of a rollout; scores have 1 and their kind.</summary>
    public static int PartOf(SampleField field) => (int)field;

    public static byte[] Write(Rollout rollout) => Write(rollout, DataCodec.Write);

    public static Rollout ReadRollout(byte[] content) => Read(content, "a rollout of the journal", DataCodec.ReadRollout);

    public static byte[] Write(Scores scores) => Write(scores, DataCodec.Write);

    public static Scores ReadScores(byte[] content) => Read(content, "scores of the journal", DataCodec.ReadScores);

    public static byte[] Write(WindowSource source) => Write(source, static (to, source) =>
    {
        to.Text(source.Origin);
        to.Int32(source.Batches);
        to.List(source.Needed, static (to, kind) => to.Enum(kind));
        WriteWeights(to, source.Weights);
    });

    public static WindowSource ReadSource(byte[] content) => Read(content, "a window of the journal", static from => new WindowSource(
        from.Text("Origin"),
        from.Int32("Batches"),
        [.. from.List("Needed", 1, static from => from.Enum<ScoreKind>("Needed"))],
        ReadWeights(from)));

    public static byte[] Write(ImmutableSortedDictionary<string, string> weights) => Write(weights, WriteWeights);

    public static ImmutableSortedDictionary<string, string> ReadWeights(byte[] content) => Read(content, "an acknowledgement of the journal", ReadWeights);

    /// <summary>A pointer to the record that an older epoch wrote.</summary>
    public static byte[] Write(RecordHead original) => Write(original, static (to, original) =>
    {
        to.Int64(original.Segment.Epoch);
        to.Int32(original.Segment.Number);
        to.Int64(original.Offset);
    });

    public static (SegmentId Segment, long Offset) ReadPointer(byte[] content) => Read(content, "a pointer of the journal", static from =>
        (new SegmentId(from.Int64("Epoch"), from.Int32("Number")), from.Int64("Offset")));

    private static void WriteWeights(WireWriter to, ImmutableSortedDictionary<string, string> weights) => to.List(weights, static (to, model) =>
    {
        to.Name(model.Key);
        to.Name(model.Value);
    });

    private static ImmutableSortedDictionary<string, string> ReadWeights(WireReader from) =>
        from.Map("Weights", 2, static from => from.Name("Model"), static from => from.Name("Hash")).ToImmutableSortedDictionary(StringComparer.Ordinal);

    private static byte[] Write<T>(T value, Action<WireWriter, T> write)
    {
        using var to = new WireWriter();
        to.Head();
        write(to, value);
        return to.ToArray();
    }

    private static T Read<T>(byte[] content, string what, Func<WireReader, T> read)
    {
        var from = new WireReader(content, what);
        from.Head();
        var value = read(from);
        from.End();
        return value;
    }
}
