using System.Buffers.Binary;
using System.Text;
using ColossalChat.Contracts;
using ColossalChat.Models.Safetensors;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class SafetensorsTests : IDisposable
{
    private readonly string _folder = SmallModel.TemporaryFolder();

    private string FilePath => Path.Combine(_folder, "t.safetensors");

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void What_is_written_is_read_back_bit_for_bit(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var matrix = rand(3, 5).to(type);
        var turned = rand(4, 2).to(type).t();
        var empty = zeros([0, 3], type);
        var scalar = ones([], type);
        SafetensorsWriter.Write(FilePath, [("a", matrix), ("b.c", turned), ("empty", empty), ("scalar", scalar)], type);
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Equal(["a", "b.c", "empty", "scalar"], file.Entries.Select(entry => entry.Name).Order(StringComparer.Ordinal));
        foreach (var (name, expected) in new[] { ("a", matrix), ("b.c", turned), ("empty", empty), ("scalar", scalar) })
        {
            using var actual = file.Read(name);
            Assert.Equal(expected.shape, actual.shape);
            Assert.Equal(type, actual.dtype);
            Assert.True(expected.Equals(actual));
        }

        Assert.False(File.Exists(FilePath + ".part"));
    }

    [Fact]
    public void Data_starts_at_a_multiple_of_eight_as_other_readers_expect()
    {
        using var scope = NewDisposeScope();
        for (var length = 1; length < 10; length++)
        {
            SafetensorsWriter.Write(FilePath, [(new string('n', length), ones(2))], ScalarType.Float32);
            Assert.Equal(0ul, BinaryPrimitives.ReadUInt64LittleEndian(File.ReadAllBytes(FilePath)) % 8);
        }
    }

    [Theory]
    [InlineData("""{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, null)]
    [InlineData("""{"__metadata__":{"format":"pt"},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  """, 8, null)]
    [InlineData("""{"t":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}""", 8, "tensor t has dtype I32")]
    [InlineData("""{"t":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", 8, "tensor t of shape [3] needs 12 bytes")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 4, "tensor t has data_offsets [0, 8] outside its 4")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "tensor t has data_offsets [8, 0]")]
    [InlineData("""{"t":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", 8, "tensor t has -2 in shape")]
    [InlineData("""{"t":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}""", 8, "impossible shape")]
    [InlineData("""{"t":{"dtype":"F32","shape":[1.5],"data_offsets":[0,8]}}""", 8, "tensor t has 1.5 in shape")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2]}}""", 8, "tensor t lacks")]
    [InlineData("""{"t":7}""", 8, "tensor t lacks")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"u":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "tensor u starts at byte")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "after a gap")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 12, "its tensors end at byte")]
    [InlineData("""{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "tensor t is named twice")]
    [InlineData("""[1]""", 8, "not a JSON object")]
    [InlineData("""{"t":""", 8, "header is not JSON")]
    public void Header_is_checked_and_the_fault_named(string header, int dataBytes, string? expected)
    {
        Write(Encoding.UTF8.GetBytes(header), header.Length, dataBytes);
        if (expected is null)
        {
            using var file = SafetensorsFile.Open(FilePath);
            Assert.Single(file.Entries);
            return;
        }

        var error = Assert.Throws<UserErrorException>(() => SafetensorsFile.Open(FilePath));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Contains(FilePath, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(5, 0)]
    [InlineData(8, 1000)]
    [InlineData(8, -1)]
    [InlineData(8, 0)]
    [InlineData(8, long.MaxValue)]
    public void Cut_files_and_impossible_header_lengths_are_refused(int bytes, long headerLength)
    {
        var content = new byte[16];
        BinaryPrimitives.WriteInt64LittleEndian(content, headerLength);
        File.WriteAllBytes(FilePath, content[..bytes]);
        Assert.Contains("is broken", Assert.Throws<UserErrorException>(() => SafetensorsFile.Open(FilePath)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_file_is_named() =>
        Assert.Contains(FilePath, Assert.Throws<UserErrorException>(() => SafetensorsFile.Open(FilePath)).Message, StringComparison.Ordinal);

    [Fact]
    public void Damaged_headers_are_refused_or_read_but_never_crash()
    {
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(FilePath, [("model.a", rand(3, 4)), ("model.b", rand(7)), ("c", rand(2, 2, 2))], ScalarType.Float32);
        var good = File.ReadAllBytes(FilePath);
        var headerEnd = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(good);
        var random = new RandomKey(7, RandomPurpose.Data);
        for (var round = 0; round < 3000; round++)
        {
            var bytes = good.ToArray();
            var changes = 1 + (int)(random.Bits(round * 20) % 4);
            for (var i = 0; i < changes; i++)
            {
                var at = (int)(random.Bits((round * 20) + (3 * i) + 1) % (uint)headerEnd);
                bytes[at] = (byte)(random.Bits((round * 20) + (3 * i) + 2) % 3 == 0 ? random.Bits((round * 20) + (3 * i) + 3) : "0123456789{}[],:\"-e"[(int)(random.Bits((round * 20) + (3 * i) + 3) % 19)]);
            }

            if (round % 5 == 0)
                bytes = bytes[..(int)(random.Bits((round * 20) + 19) % (uint)bytes.Length)];
            ReadAll(bytes);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private void ReadAll(byte[] bytes)
    {
        File.WriteAllBytes(FilePath, bytes);
        try
        {
            using var file = SafetensorsFile.Open(FilePath);
            foreach (var entry in file.Entries)
                file.Read(entry.Name).Dispose();
        }
        catch (UserErrorException e)
        {
            Assert.Contains(FilePath, e.Message, StringComparison.Ordinal);
        }
    }

    private void Write(byte[] header, long headerLength, int dataBytes)
    {
        using var stream = File.Create(FilePath);
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, headerLength);
        stream.Write(length);
        stream.Write(header);
        stream.Write(new byte[dataBytes]);
    }
}
