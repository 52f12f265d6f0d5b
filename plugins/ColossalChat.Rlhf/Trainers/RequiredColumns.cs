using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>Checks that experience carries what a trainer reads.</summary>
internal static class RequiredColumns
{
    public static void Check(Experience experience, string model, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (experience.Rows > 0 && !experience.Columns.ContainsKey(name))
            {
                throw new UserErrorException(
                    $"The trainer of {model} needs the column {name}, but the experience has only " +
                    $"{string.Join(", ", experience.Columns.Keys.Order(StringComparer.Ordinal))}; choose an experience role that makes it.");
            }
        }
    }
}
