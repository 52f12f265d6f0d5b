using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ColossalChat.Text;

/// <summary>Hashes what decides the ids of a text: equal tokenizers get equal hashes.</summary>
internal sealed class VocabularyHash : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>Adds one part; parts are told apart by their length.</summary>
    public VocabularyHash Add(string part)
    {
        var bytes = Encoding.UTF8.GetBytes(part);
        _hash.AppendData(BitConverter.GetBytes(bytes.Length));
        _hash.AppendData(bytes);
        return this;
    }

    /// <summary>Adds a number.</summary>
    public VocabularyHash Add(IFormattable number) => Add(number.ToString(null, CultureInfo.InvariantCulture));

    /// <summary>Adds special tokens in the order of their ids, and the ids with a meaning.</summary>
    public VocabularyHash AddSpecial(SpecialIds special)
    {
        foreach (var (text, id) in special.Tokens.OrderBy(pair => pair.Value).ThenBy(pair => pair.Key, StringComparer.Ordinal))
            Add(text).Add(id);
        Add("bos").Add(special.BosId ?? -1).Add("eos");
        foreach (var id in special.EosIds)
            Add(id);
        return this;
    }

    /// <summary>64 hexadecimal digits.</summary>
    public string Finish() => Convert.ToHexStringLower(_hash.GetHashAndReset());

    /// <inheritdoc/>
    public void Dispose() => _hash.Dispose();
}
