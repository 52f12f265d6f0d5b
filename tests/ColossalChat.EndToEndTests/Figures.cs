using System.Globalization;

namespace ColossalChat.EndToEndTests;

/// <summary>Collects what acceptance tests measured; <c>tests/run-full</c> prints it as a table.</summary>
public static class Figures
{
    /// <summary>Notes a figure and checks it.</summary>
    /// <param name="line">What it is about.</param>
    /// <param name="asked">The number asked for, in words.</param>
    /// <param name="measured">The number measured, with its unit.</param>
    /// <param name="holds">Whether it is reached.</param>
    public static void Check(string line, string asked, FormattableString measured, bool holds)
    {
        var seen = measured.ToString(CultureInfo.InvariantCulture);
        var file = Environment.GetEnvironmentVariable("COLOSSALCHAT_FIGURES");
        if (!string.IsNullOrEmpty(file))
            File.AppendAllText(file, $"| {line} | {asked} | {seen} | {(holds ? "yes" : "NO")} |\n");
        Assert.True(holds, $"{line}: asked {asked}, measured {seen}");
    }
}
