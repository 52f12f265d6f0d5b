using System.Globalization;
using ColossalChat.Journal;
using CsCheck;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>The journal's files: what is written is read again, whatever happened to them meanwhile.</summary>
[Trait("Category", "CI")]
public sealed class SegmentTests
{
    private readonly string _folder = Path.Combine(Directory.CreateTempSubdirectory("colossalchat-journal-").FullName, "journal");
    private readonly List<string> _remarks = [];

    [Fact]
    public void What_was_appended_is_found_by_iteration_and_by_type()
    {
        using (var writer = Open(1))
            for (var i = 1; i <= 5; i++)
                writer.Append(KeyOf(i), ContentOf(i));
        using var view = JournalView.Open(_folder);
        Assert.Equal([KeyOf(3)], view.Of(3).Select(record => record.Key));
        Assert.Equal(5, view.Of(RecordType.Rollout).Count);
        Assert.Equal(ContentOf(4), view.Content(view.Of(4)[0]));
        Assert.Equal("settings", System.Text.Encoding.UTF8.GetString(view.Content(view.Of(RecordType.Settings)[0])!));
        Assert.Empty(view.Remarks);
        Assert.Equal(0, view.Epochs[1]);
    }

    [Theory]
    [InlineData("missing")]
    [InlineData("behind")]
    [InlineData("garbage")]
    [InlineData("ahead")]
    [InlineData("good")]
    public void The_index_may_be_lost_and_is_made_again(string what)
    {
        using (var writer = Open(1))
        {
            writer.Append(KeyOf(1), ContentOf(1));
            writer.Flush();
            if (what != "behind")
                writer.Append(KeyOf(2), ContentOf(2));
            if (what is "good" or "ahead")
                writer.Flush();
            if (what == "behind")
                writer.Append(KeyOf(2), ContentOf(2));
        }

        var index = Path.Combine(_folder, "index.db");
        if (what == "missing")
            File.Delete(index);
        else if (what == "garbage")
            File.WriteAllBytes(index, [.. Enumerable.Range(0, 5000).Select(i => (byte)(i * 7))]);
        else if (what == "ahead")
            Cut(Segment(1, 0), 10);

        long[] expected = what == "ahead" ? [1] : [1, 2];
        using (var view = JournalView.Open(_folder))
            Assert.Equal(expected, view.Of(RecordType.Rollout).Select(record => record.Key.Iteration));
        using (Open(2))
        {
        }

        using var again = JournalIndex.TryOpen(_folder)!;
        Assert.Equal(expected, again.Of(RecordType.Rollout).Select(record => record.Key.Iteration));
        using var whole = JournalView.Open(_folder);
        Assert.Empty(whole.Beyond);
        Assert.Equal(expected, whole.Of(RecordType.Rollout).Select(record => record.Key.Iteration));
    }

    [Fact]
    public void A_torn_tail_is_cut_off_with_a_remark_and_what_is_before_it_stays()
    {
        var size = 0L;
        using (var writer = Open(1))
        {
            writer.Append(KeyOf(1), ContentOf(1));
            size = new FileInfo(Segment(1, 0)).Length;
            writer.Append(KeyOf(2), ContentOf(2));
        }

        Cut(Segment(1, 0), 3);
        using (Open(2, after: 1))
        {
        }

        Assert.Contains("torn", Assert.Single(_remarks), StringComparison.Ordinal);
        Assert.Equal(size, new FileInfo(Segment(1, 0)).Length);
        using var view = JournalView.Open(_folder);
        Assert.Equal([1L], view.Of(RecordType.Rollout).Select(record => record.Key.Iteration));
        Assert.Equal([(1L, 0L), (2L, 1L)], view.Epochs.Select(epoch => (epoch.Key, epoch.Value)));
    }

    [Fact]
    public void Whatever_byte_is_damaged_no_wrong_content_is_read_and_the_other_records_are_found()
    {
        using (var writer = Open(1))
            for (var i = 1; i <= 4; i++)
                writer.Append(KeyOf(i), ContentOf(i));
        File.Delete(Path.Combine(_folder, "index.db"));
        var good = File.ReadAllBytes(Segment(1, 0));
        Gen.Select(Gen.Int[RecordFormat.SegmentHeadBytes, good.Length - 1], Gen.Int[0, 7]).Sample((at, bit) =>
        {
            var bad = (byte[])good.Clone();
            bad[at] ^= (byte)(1 << bit);
            File.WriteAllBytes(Segment(1, 0), bad);
            using var view = JournalView.Open(_folder);
            var found = Enum.GetValues<RecordType>().SelectMany(view.Of).ToArray();
            Assert.Equal(4, found.Length);
            Assert.All(found.Where(record => record.Key.Type == RecordType.Rollout), record => Assert.Equal(ContentOf((int)record.Key.Iteration), view.Content(record)));
            Assert.NotEmpty(view.Remarks);
        }, iter: 200, threads: 1);
    }

    [Fact]
    public void A_segment_that_is_cut_anywhere_keeps_its_whole_records()
    {
        var ends = new List<long>();
        using (var writer = Open(1))
            for (var i = 1; i <= 4; i++)
            {
                writer.Append(KeyOf(i), ContentOf(i));
                ends.Add(new FileInfo(Segment(1, 0)).Length);
            }

        File.Delete(Path.Combine(_folder, "index.db"));
        var good = File.ReadAllBytes(Segment(1, 0));
        Gen.Int[0, good.Length].Sample(length =>
        {
            File.WriteAllBytes(Segment(1, 0), good[..length]);
            using var view = JournalView.Open(_folder);
            Assert.Equal(ends.Count(end => end <= length), view.Of(RecordType.Rollout).Count);
        }, iter: 200, threads: 1);
    }

    [Fact]
    public void A_writer_of_an_older_epoch_is_fenced_and_what_it_still_writes_counts_for_its_own_epoch_only()
    {
        using var old = Open(1);
        old.Append(KeyOf(1), ContentOf(1));
        using var young = Open(2);

        old.Append(KeyOf(2), ContentOf(2));
        Assert.Contains("Epoch 2", Assert.Throws<JournalFencedException>(old.Flush).Message, StringComparison.Ordinal);
        Assert.Throws<JournalFencedException>(() => Open(1));

        using var view = JournalView.Open(_folder);
        Assert.All(view.Of(RecordType.Rollout), record => Assert.Equal(1, record.Segment.Epoch));
    }

    [Fact]
    public void Segments_roll_each_begins_with_the_settings_and_old_ones_are_dropped_whole()
    {
        using var writer = Open(1, segmentBytes: 400);
        for (var i = 1; i <= 30; i++)
            writer.Append(KeyOf(i), ContentOf(i));
        writer.Flush();
        var before = JournalFolder.Segments(_folder);
        Assert.InRange(before.Count, 4, 15);

        writer.Drop(6);

        using var view = JournalView.Open(_folder);
        var left = view.Of(RecordType.Rollout).Select(record => record.Key.Iteration).ToArray();
        Assert.InRange(left[0], 2, 7);
        Assert.Equal(Enumerable.Range((int)left[0], 31 - (int)left[0]).Select(i => (long)i), left);
        Assert.Equal(JournalFolder.Segments(_folder).Count, view.Of(RecordType.Settings).Count);
        Assert.True(JournalFolder.Segments(_folder).Count < before.Count);
        Assert.Contains(7L, left);
    }

    [Fact]
    public void A_record_that_is_too_large_is_refused_and_the_next_writer_of_the_epoch_begins_another_segment()
    {
        using (var writer = Open(1))
        {
            writer.Append(KeyOf(1), ContentOf(1));
            Assert.Throws<IOException>(() => writer.Append(KeyOf(2), new byte[RecordFormat.MostBytes + 1]));
        }

        using (var again = Open(1))
            again.Append(KeyOf(3), ContentOf(3));
        using var view = JournalView.Open(_folder);
        Assert.Equal([(1L, 0), (3L, 1)], view.Of(RecordType.Rollout).Select(record => (record.Key.Iteration, record.Segment.Number)));
    }

    private static RecordKey KeyOf(int i) => new(RecordType.Rollout, i, Shard: i + 1, Part: i + 2, Rows: i + 3);

    private static byte[] ContentOf(int i) => System.Text.Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(i.ToString(CultureInfo.InvariantCulture), 20 + i)));

    private static void Cut(string file, int bytes)
    {
        using var stream = new FileStream(file, FileMode.Open);
        stream.SetLength(stream.Length - bytes);
    }

    private string Segment(long epoch, int number) => JournalFolder.PathOf(_folder, new SegmentId(epoch, number));

    private JournalWriter Open(long epoch, long after = 0, long segmentBytes = 1 << 20) =>
        JournalWriter.Open(_folder, new JournalEpoch(epoch, after, "settings"u8.ToArray()) { SegmentBytes = segmentBytes }, _remarks.Add);
}
