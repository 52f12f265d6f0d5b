using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>
/// Sets rows aside by a hash of their prompt: equal prompts stay together, rows added later move no other row, and
/// stages that read the same prompts agree.
/// </summary>
internal static class HeldOutSplit
{
    private const string Key = "colossalchat held-out 1\0";

    /// <summary>What the split looks at: the prompt, or the text where there is no prompt.</summary>
    public static string KeyOf(DataRow row) =>
        row.Prompt.Count == 0 ? row.Answer ?? "" : string.Join('\u001f', row.Prompt.Select(message => $"{message.Role}\u001e{message.Text}"));

    /// <summary>True for rows set aside; one a row.</summary>
    /// <param name="keys">Prompt of each row.</param>
    /// <param name="heldOut">A share below 1, or a number of rows.</param>
    /// <exception cref="UserErrorException">Nothing would be left to train on.</exception>
    public static bool[] Choose(IReadOnlyList<string> keys, double heldOut)
    {
        var hashes = keys.Select(HashOf).ToArray();
        var limit = heldOut < 1 ? heldOut * Math.Pow(2, 64) : LimitFor(hashes, (int)heldOut);
        var isHeldOut = hashes.Select(hash => hash < limit).ToArray();
        return heldOut >= 1 && keys.Count > 0 && !isHeldOut.Contains(false)
            ? throw new UserErrorException($"held-out is {heldOut}, but there are only {keys.Count} rows; nothing would be left to train on.")
            : isHeldOut;
    }

    // The smallest limit that sets at least the wanted number of rows aside.
    private static double LimitFor(ulong[] hashes, int wanted)
    {
        var ordered = hashes.Order().ToArray();
        return wanted >= ordered.Length ? double.PositiveInfinity : Math.BitIncrement((double)ordered[wanted - 1]);
    }

    private static ulong HashOf(string key) =>
        BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(Key + key)));
}
