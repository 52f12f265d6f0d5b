namespace ColossalChat.Host.Cli;

/// <summary>Writes a command line so that a shell reads the same words again.</summary>
internal static class ShellWords
{
    private const string Plain = "-_./=:,@%+";

    /// <summary>The words with spaces between them, quoted where they need it.</summary>
    public static string Join(IEnumerable<string> words) => string.Join(' ', words.Select(Quote));

    private static string Quote(string word) =>
        word.Length > 0 && word.All(letter => char.IsAsciiLetterOrDigit(letter) || Plain.Contains(letter, StringComparison.Ordinal))
            ? word
            : $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
