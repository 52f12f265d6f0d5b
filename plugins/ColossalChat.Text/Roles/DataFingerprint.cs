using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>
/// All the state that a source of data has: a hash of what it hands out. A run continued on other data would not be the
/// same run, so restoring compares.
/// </summary>
internal sealed class DataFingerprint : IDisposable
{
    private const string Name = "data";
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>Adds numbers; blocks are told apart by their length.</summary>
    public DataFingerprint Add<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        _hash.AppendData(BitConverter.GetBytes(values.Length));
        _hash.AppendData(MemoryMarshal.AsBytes(values));
        return this;
    }

    /// <summary>64 hexadecimal digits.</summary>
    public string Finish() => Convert.ToHexStringLower(_hash.GetHashAndReset());

    /// <inheritdoc/>
    public void Dispose() => _hash.Dispose();

    /// <summary>Saves a fingerprint.</summary>
    public static void Capture(IStateWriter writer, string fingerprint) =>
        writer.WriteJson(Name, $$"""{"fingerprint":"{{fingerprint}}"}""");

    /// <summary>Compares with the saved one.</summary>
    /// <exception cref="UserErrorException">They differ.</exception>
    public static void Restore(IStateReader reader, string fingerprint)
    {
        using var saved = JsonDocument.Parse(reader.ReadJson(Name));
        if (saved.RootElement.GetProperty("fingerprint").GetString() != fingerprint)
            throw new UserErrorException(
                "The data differ from those of the checkpoint: files, tokenizer, template, seed or data settings have changed. "
                + "Bring the old ones back, or start a new run.");
    }
}
