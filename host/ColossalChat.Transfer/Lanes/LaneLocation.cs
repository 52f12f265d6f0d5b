using System.Globalization;
using System.Security.Cryptography;

namespace ColossalChat.Transfer;

/// <summary>What a reader must know to fetch a block: what lanes write into <see cref="Contracts.BlobReference.Location"/>.</summary>
/// <param name="Machine">Who published it.</param>
/// <param name="Host">Of the publisher's listener.</param>
/// <param name="Port">Of the publisher's listener.</param>
/// <param name="Block">Id of this publication.</param>
/// <param name="Token">Whoever knows it may read; 32 bytes, drawn for this publication alone.</param>
/// <param name="Path">The file, for readers of the same machine; empty when it does not fit.</param>
internal sealed record LaneLocation(string Machine, string Host, int Port, Guid Block, byte[] Token, string Path)
{
    public const int LongestMachine = 64;
    public const int LongestHost = 128;
    public const int TokenLength = 32;
    private const string Form = "lane1";
    private const int Parts = 7;

    /// <summary>True for what may be a name or an address: nothing else is looked up, which can take long.</summary>
    public static bool IsHost(ReadOnlySpan<byte> ascii)
    {
        foreach (var letter in ascii)
            if (!char.IsAsciiLetterOrDigit((char)letter) && letter is not ((byte)'.' or (byte)':' or (byte)'-' or (byte)'%' or (byte)'_'))
                return false;
        return true;
    }

    public static byte[] NewToken() => RandomNumberGenerator.GetBytes(TokenLength);

    /// <summary>At most <see cref="LaneSettings.LongestLocation"/> characters.</summary>
    public string ToText()
    {
        var text = string.Join('|', Form, Machine, Host, Port.ToString(CultureInfo.InvariantCulture), Block.ToString("N"), Convert.ToHexStringLower(Token), Path);
        return text.Length <= LaneSettings.LongestLocation ? text : (this with { Path = "" }).ToText();
    }

    /// <summary>Null for anything but a location of this lane.</summary>
    public static LaneLocation? Parse(string text)
    {
        if (text.Length > LaneSettings.LongestLocation)
            return null;
        var parts = text.Split('|', Parts);
        var isOurs = parts.Length == Parts && parts[0] == Form && parts[1].Length is > 0 and <= LongestMachine && parts[2].Length is > 0 and <= LongestHost
            && parts[5].Length == 2 * TokenLength && parts[5].All(char.IsAsciiHexDigit);
        return isOurs && int.TryParse(parts[3], NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65535
            && Guid.TryParseExact(parts[4], "N", out var block)
            ? new LaneLocation(parts[1], parts[2], port, block, Convert.FromHexString(parts[5]), parts[6])
            : null;
    }
}
