using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.UnitTests.Rlhf.Support;

/// <summary>Keeps a role's state in memory.</summary>
internal sealed class MemoryState : IStateWriter, IStateReader
{
    private readonly Dictionary<string, (ElementType Type, long[] Shape, byte[] Data)> _tensors = [];
    private readonly Dictionary<string, string> _documents = [];

    public IReadOnlyList<string> TensorNames => [.. _tensors.Keys];

    public void WriteTensor(string name, ElementType type, ReadOnlySpan<long> shape, ReadOnlySpan<byte> data) =>
        _tensors.Add(name, (type, shape.ToArray(), data.ToArray()));

    public void WriteJson(string name, string json) => _documents.Add(name, json);

    public (ElementType Type, long[] Shape) Describe(string name) => _tensors.TryGetValue(name, out var tensor)
        ? (tensor.Type, tensor.Shape)
        : throw new UserErrorException($"The checkpoint has no tensor {name}.");

    public void ReadTensor(string name, Span<byte> destination)
    {
        Assert.Equal(_tensors[name].Data.Length, destination.Length);
        _tensors[name].Data.CopyTo(destination);
    }

    public string ReadJson(string name) => _documents[name];

    /// <summary>Elements of a float32 tensor.</summary>
    public float[] Floats(string name) => System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(_tensors[name].Data).ToArray();

    /// <summary>All bytes, to compare two states.</summary>
    public string Fingerprint() => string.Join(
        "\n",
        _tensors.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => $"{t.Key} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(t.Value.Data))}")
            .Concat(_documents.OrderBy(d => d.Key, StringComparer.Ordinal).Select(d => $"{d.Key} {d.Value}")));
}
