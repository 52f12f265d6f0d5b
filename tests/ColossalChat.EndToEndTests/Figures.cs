using System.Globalization;

namespace ColossalChat.EndToEndTests;

/// <summary>
/// Collects what an acceptance test measured; <c>tests/run-full</c> prints it as a table. Disposing fails the test when a
/// figure was missed, after all of them were noted.
/// </summary>
public sealed class Figures : IDisposable
{
    private readonly List<string> _missed = [];

    /// <summary>Notes a figure.</summary>
    /// <param name="line">What it is about.</param>
    /// <param name="asked">The number asked for, in words.</param>
    /// <param name="measured">The number measured, with its unit.</param>
    /// <param name="holds">Whether it is reached.</param>
    public void Check(string line, string asked, FormattableString measured, bool holds)
    {
        var seen = measured.ToString(CultureInfo.InvariantCulture);
        var file = Environment.GetEnvironmentVariable("COLOSSALCHAT_FIGURES");
        if (!string.IsNullOrEmpty(file))
            File.AppendAllText(file, $"| {line} | {asked} | {seen} | {(holds ? "yes" : "NO")} |\n");
        if (!holds)
            _missed.Add($"{line}: asked {asked}, measured {seen}");
    }

    /// <summary>True while the acceptance table is made; times are figures then, and not on a busy test machine.</summary>
    public static bool IsTableWanted => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("COLOSSALCHAT_FIGURES"));

    /// <inheritdoc/>
    public void Dispose() => Assert.True(_missed.Count == 0, string.Join('\n', _missed));
}
