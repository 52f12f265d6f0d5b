namespace ColossalChat.Contracts;

/// <summary>
/// A role whose state outlives it: saved in checkpoints, carried over when a plugin is swapped. What is restored must
/// continue bit for bit. Any role may implement it; roles whose contract includes it must.
/// </summary>
public interface IStatefulRole
{
    /// <summary>Writes all state. Called between batches only.</summary>
    void Capture(IStateWriter writer);

    /// <summary>Reads what <see cref="Capture"/> wrote, in any order. Called before the first batch.</summary>
    void Restore(IStateReader reader);
}

/// <summary>Element types of saved tensors.</summary>
public enum ElementType
{
    /// <summary>4 bytes.</summary>
    Float32,

    /// <summary>2 bytes, IEEE half.</summary>
    Float16,

    /// <summary>2 bytes, the upper half of a float.</summary>
    BFloat16,

    /// <summary>8 bytes.</summary>
    Int64,

    /// <summary>4 bytes.</summary>
    Int32,

    /// <summary>1 byte.</summary>
    UInt8,
}

/// <summary>Takes a role's state. Names are the role's own and unique within it.</summary>
public interface IStateWriter
{
    /// <summary>Writes one tensor; the bytes are copied before the call returns.</summary>
    /// <param name="name">Unique within the role.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Sizes; none for a scalar.</param>
    /// <param name="data">Elements in row-major order, little-endian.</param>
    void WriteTensor(string name, ElementType type, ReadOnlySpan<long> shape, ReadOnlySpan<byte> data);

    /// <summary>Writes a small JSON document.</summary>
    void WriteJson(string name, string json);
}

/// <summary>Gives a role its state back.</summary>
public interface IStateReader
{
    /// <summary>Names of all saved tensors.</summary>
    IReadOnlyList<string> TensorNames { get; }

    /// <summary>Element type and shape of a saved tensor.</summary>
    /// <exception cref="UserErrorException">There is no such tensor; the message names it and the checkpoint.</exception>
    (ElementType Type, long[] Shape) Describe(string name);

    /// <summary>Copies a saved tensor into the caller's memory, which must have exactly its size.</summary>
    void ReadTensor(string name, Span<byte> destination);

    /// <summary>A saved JSON document.</summary>
    /// <exception cref="UserErrorException">There is none of that name.</exception>
    string ReadJson(string name);
}
