using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>Puts a part's names under a prefix, so that several parts of one role never collide.</summary>
internal sealed class PrefixedStateWriter(IStateWriter inner, string prefix) : IStateWriter
{
    public void WriteTensor(string name, ElementType type, ReadOnlySpan<long> shape, ReadOnlySpan<byte> data) =>
        inner.WriteTensor(prefix + name, type, shape, data);

    public void WriteJson(string name, string json) => inner.WriteJson(prefix + name, json);
}

/// <summary>Reads what <see cref="PrefixedStateWriter"/> wrote.</summary>
internal sealed class PrefixedStateReader(IStateReader inner, string prefix) : IStateReader
{
    public IReadOnlyList<string> TensorNames =>
        [.. inner.TensorNames.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Select(name => name[prefix.Length..])];

    public (ElementType Type, long[] Shape) Describe(string name) => inner.Describe(prefix + name);

    public void ReadTensor(string name, Span<byte> destination) => inner.ReadTensor(prefix + name, destination);

    public string ReadJson(string name) => inner.ReadJson(prefix + name);
}
