using ColossalChat.Contracts;
using CsCheck;
using Xunit;

namespace ColossalChat.Cluster.Tests;

[Trait("Category", "CI")]
public sealed class WireValueTests
{
    [Fact]
    public void Whole_numbers_of_all_sizes_come_back() =>
        Gen.Select(Gen.Long, Gen.Int[0, 63]).Sample((number, shift) =>
            Assert.Equal(number >> shift, Back((to, value) => to.Int64(value), from => from.Int64("n"), number >> shift)));

    [Theory]
    [InlineData(0L, 1)]
    [InlineData(-1L, 1)]
    [InlineData(63L, 1)]
    [InlineData(-65L, 2)]
    [InlineData(long.MaxValue, 10)]
    [InlineData(long.MinValue, 10)]
    public void Small_numbers_take_few_bytes(long number, int bytes)
    {
        Assert.Equal(1 + bytes, WireFrame.Bytes(number, (to, value) => to.Int64(value)).Length);
        Assert.Equal(number, Back((to, value) => to.Int64(value), from => from.Int64("n"), number));
    }

    [Fact]
    public void Other_values_come_back()
    {
        Assert.Equal(0x8899AABBCCDDEEFFUL, Back((to, value) => to.Fixed64(value), from => from.Fixed64("n"), 0x8899AABBCCDDEEFFUL));
        Assert.Equal(0xCCDDEEFFU, Back((to, value) => to.Fixed32(value), from => from.Fixed32("n"), 0xCCDDEEFFU));
        Assert.Equal("a\0ä😀", Back((to, value) => to.Text(value), from => from.Text("t"), "a\0ä😀"));
        Assert.Equal("\uFFFD", Back((to, value) => to.Text(value), from => from.Text("t"), "\uD83D"));
        Assert.Equal([1.5, double.NaN], Back<double[]>((to, value) => to.Array<double>(value), from => from.Array<double>("a"), [1.5, double.NaN]));
        Assert.Equal([true, false, true], Back<bool[]>((to, value) => to.Array<bool>(value), from => from.Array<bool>("a"), [true, false, true]));
        Assert.Equal(FinishReason.Length, Back((to, value) => to.Enum(value), from => from.Enum<FinishReason>("e"), FinishReason.Length));
    }

    [Fact]
    public void A_buffer_grows_and_keeps_what_it_has()
    {
        var numbers = Enumerable.Range(0, 100_000).ToArray();
        Assert.Equal(numbers, Back((to, values) => to.List(values, (to, value) => to.Int32(value)), from => from.List("n", 1, from => from.Int32("n")), numbers));
    }

    [Fact]
    public void Flags_take_a_bit_each()
    {
        var rows = Ragged.FromRows([new[] { true, false, true }, [], [true, true, true, false, false, false]]);
        Assert.Equal(Convert.FromHexString("C103" + "030006" + "3D00"), WireFrame.Bytes(rows, (to, value) => to.Ragged(value)));
        var read = Back((to, value) => to.Ragged(value), from => from.Ragged<bool>("r"), rows);
        Assert.Equal(rows.Offsets, read.Offsets);
        Assert.Equal(rows.Values, read.Values);
    }

    // Each frame without its head, and what the refusal says.
    [Theory]
    [InlineData("80", "n takes 1 bytes; 0 are left")]
    [InlineData("8000", "n is a number of 2 bytes that ends in 0")]
    [InlineData("FFFFFFFFFFFFFFFFFF02", "more than 64 bits")]
    [InlineData("8080808080808080808001", "n is a number of more than 10 bytes")]
    [InlineData("0000", "1 bytes follow its end")]
    public void Numbers_in_another_form_are_refused(string body, string reason) => Refused(body, reason, from => from.Int64("n"));

    [Fact]
    public void What_no_writer_writes_is_refused()
    {
        Refused("8080808010", "n is 2147483648; at most 32 bits", from => from.Int32("n"));
        Refused("02", "b is 2; a flag is 0 or 1", from => from.Bool("b"));
        Refused("0A", "e is 5; FinishReason has no such value", from => from.Enum<FinishReason>("e"));
        Refused("01FF", "t is not UTF-8", from => from.Text("t"));
        Refused("0361", "t has 3 entries of 1 bytes or more; 1 bytes are left", from => from.Text("t"));
        Refused("03616161", "t has 3 bytes; at most 2", from => from.Text("t", 2));
        Refused("FFFFFFFFFFFFFFFFFF01", "t has 18446744073709551615 entries", from => from.Text("t"));
        Refused("020100", "l has 2 entries of 8 bytes or more; 2 bytes are left", from => from.List("l", 8, from => from.Double("l")));
        Refused("FFFFFFFF0F", "a has 4294967295 values; 0 bytes are left", from => from.Array<int>("a"));
        Refused("0B0000", "a has 11 values; 2 bytes are left", from => from.Array<short>("a"));
        Refused("0201610000000000000000" + "01610000000000000000", "m has 'a' twice", from => from.Numbers("m"));
        Refused("0102" + "04", "r has bits set after its last flag", from => from.Ragged<bool>("r"));
        Refused("0211" + "00", "row 0 of r has 17 values; with those before it they take more than the 1 bytes that are left", from => from.Ragged<bool>("r"));
        Refused("02FFFFFFFFFFFFFFFF7F" + "00", "row 0 of r has 9223372036854775807 values", from => from.Ragged<long>("r"));
        Refused("02" + "01" + "FFFFFFFF07" + "00000000", "row 1 of r has 2147483647 values", from => from.Ragged<int>("r"));
    }

    [Fact]
    public void Lists_have_a_greatest_depth()
    {
        Refused(string.Concat(Enumerable.Repeat("01", 20)), "l is a list 9 deep; at most 8", Nested);
        using var to = new WireWriter();
        Assert.Contains("9 deep", Assert.Throws<WireFormatException>(() => Nest(to, 0)).Message, StringComparison.Ordinal);

        static object Nested(WireReader from) => from.List("l", 1, Nested);
        static void Nest(WireWriter to, int value) => to.List([value], Nest);
    }

    [Fact]
    public void Names_are_short_on_both_sides()
    {
        using var to = new WireWriter();
        var name = new string('n', WireLimits.NameBytes + 1);
        Assert.Contains("has 1025 bytes; at most 1024", Assert.Throws<WireFormatException>(() => to.Name(name)).Message, StringComparison.Ordinal);
        var bytes = WireFrame.Bytes(name, (to, value) => to.Text(value));
        Assert.Throws<WireFormatException>(() => WireFrame.Read(bytes, "test", from => from.Name("n")));
    }

    [Theory]
    [InlineData("C2", "format version is 2, this program reads 1; run the same version on all nodes")]
    [InlineData("7B", "head is 0x7B, not 0xC1")]
    [InlineData("", "head takes 1 bytes; 0 are left")]
    public void Another_head_is_refused(string frame, string reason) =>
        Assert.Contains(reason, Assert.Throws<WireFormatException>(
            () => WireFrame.Read(Convert.FromHexString(frame), "test", from => from.Left)).Message, StringComparison.Ordinal);

    [Fact]
    public void Every_prefix_of_a_scored_rollout_is_refused()
    {
        var samples = new WireSamples([]);
        var whole = (ScoredRollout)samples.Of(typeof(ScoredRollout)).Generate(new PCG(1, 5), null, out _);
        var bytes = WireFrame.Bytes(whole, DataCodec.Write);
        Assert.Equal(Described.Text(whole), Described.Text(WireFrame.Read(bytes, "scored rollout", DataCodec.ReadScoredRollout)));
        for (var length = 0; length < bytes.Length; length++)
            Assert.Throws<WireFormatException>(() => WireFrame.Read(bytes.AsMemory(0, length), "scored rollout", DataCodec.ReadScoredRollout));
    }

    [Fact]
    public void Data_that_no_message_holds_comes_back() => new WireSamples([]).Of(typeof(KeptTensor)).Sample(tensor =>
        Assert.Equal(Described.Text(tensor), Described.Text(Back(DataCodec.Write, DataCodec.ReadKeptTensor, (KeptTensor)tensor))));

    private static void Refused(string body, string reason, Func<WireReader, object> read) =>
        Assert.Contains(reason, Assert.Throws<WireFormatException>(
            () => WireFrame.Read(Convert.FromHexString("C1" + body), "test", read)).Message, StringComparison.Ordinal);

    private static void Refused<T>(string body, string reason, Func<WireReader, T> read)
        where T : struct => Refused(body, reason, from => (object)read(from));

    private static T Back<T>(Action<WireWriter, T> write, Func<WireReader, T> read, T value) =>
        WireFrame.Read(WireFrame.Bytes(value, write), "test", read);
}
