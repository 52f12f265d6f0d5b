namespace ColossalChat.Contracts;

/// <summary>Names a published block of bytes.</summary>
/// <param name="Name">The publisher's name for it.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Hash">Equal for equal content alone: XxHash128 over the XxHash3s (8 bytes, little-endian) of its 1 MiB chunks, 32 hexadecimal digits.</param>
public sealed record BlobReference(string Name, long Bytes, string Hash)
{
    /// <summary>Where lanes find it, at most 512 characters; only lanes look into it, and it travels with the message. Empty when one process has all.</summary>
    public string Location { get; init; } = "";
}

/// <summary>
/// Carries what is too large for a message (above 256 KB): the message carries the <see cref="BlobReference"/>, the lane
/// the bytes.
/// </summary>
public interface IBlobLane
{
    /// <summary>Copies a block into the lane; it stays until withdrawn.</summary>
    BlobReference Publish(string name, ReadOnlySpan<byte> content);

    /// <summary>Copies a stream of known length into the lane.</summary>
    BlobReference Publish(string name, Stream content, long bytes);

    /// <summary>Copies a block into the caller's memory, which must have exactly its size, and checks the hash.</summary>
    /// <exception cref="IOException">The block is gone, or its content does not have the hash.</exception>
    void Fetch(BlobReference blob, Span<byte> destination, CancellationToken cancel);

    /// <summary>Frees a block; readers that already fetch it finish.</summary>
    void Withdraw(BlobReference blob);
}
