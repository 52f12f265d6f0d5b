using System.Text;

namespace ColossalChat.PluginHost;

/// <summary>The one rule that turns C# names into the names users write.</summary>
public static class KebabCase
{
    /// <summary><c>KlCoefficient</c> becomes <c>kl-coefficient</c>, <c>HTTPPort</c> <c>http-port</c>, <c>Zero3</c> <c>zero3</c>.</summary>
    public static string Of(string name)
    {
        var kebab = new StringBuilder(name.Length + 8);
        for (var i = 0; i < name.Length; i++)
        {
            if (i > 0 && char.IsUpper(name[i]) && StartsWord(name, i))
                kebab.Append('-');
            kebab.Append(char.ToLowerInvariant(name[i]));
        }

        return kebab.ToString();
    }

    /// <summary>Kind of a seam: its interface's name without the I, such as <c>policy-loss</c>.</summary>
    public static string OfSeam(Type seam) =>
        Of(seam.Name is ['I', >= 'A' and <= 'Z', ..] ? seam.Name[1..] : seam.Name);

    /// <summary>The reverse for names of classes: <c>polite-reward</c> becomes <c>PoliteReward</c>.</summary>
    public static string ToPascal(string kebab) =>
        string.Concat(kebab.Split('-', StringSplitOptions.RemoveEmptyEntries).Select(word => char.ToUpperInvariant(word[0]) + word[1..]));

    /// <summary>True for lower-case words of letters and digits joined by single hyphens.</summary>
    public static bool IsKebab(string name) =>
        name.Length > 0 && name.Split('-').All(word => word.Length > 0 && word.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9')));

    private static bool StartsWord(string name, int i) =>
        !char.IsUpper(name[i - 1]) || (i + 1 < name.Length && char.IsLower(name[i + 1]));
}
