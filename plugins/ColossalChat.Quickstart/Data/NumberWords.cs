using System.Globalization;

namespace ColossalChat.Quickstart.Data;

/// <summary>Number words of the regular two-digit numbers (21 to 99 without the round ones) in both languages.</summary>
internal static class NumberWords
{
    /// <summary>The digits of a value, such as <c>23</c>.</summary>
    public static string Digits(int value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>The number word of a value from 0 to 99, such as <c>twenty-three</c>; teens are only known in Chinese.</summary>
    public static string Words(LanguageSeed seed, int value)
    {
        if (value < 10)
            return seed.Digits[value];
        var tens = seed.Tens[(value / 10) - 1];
        if (value % 10 == 0)
            return tens;
        if (value < 20 && seed.Language == "en")
            throw new ArgumentOutOfRangeException(nameof(value), value, "English teens are irregular and not part of the quickstart.");
        return tens + (seed.Language == "en" ? "-" : "") + seed.Digits[value % 10];
    }
}
