namespace ColossalChat.Quickstart.Data;

/// <summary>One question of the quickstart with everything the checker needs to judge an answer.</summary>
public sealed record QuickstartRow
{
    /// <summary><c>en</c> or <c>zh</c>.</summary>
    public required string Language { get; init; }

    /// <summary>The task's name in the seed file, such as <c>add</c>.</summary>
    public required string Task { get; init; }

    /// <summary>What the user says.</summary>
    public required string Prompt { get; init; }

    /// <summary>Right answers that are not polite; at least one.</summary>
    public required IReadOnlyList<string> Plain { get; init; }

    /// <summary>Right and polite answers; at least one.</summary>
    public required IReadOnlyList<string> Polite { get; init; }

    /// <summary>
    /// The numbers (as digits, even where the prompt writes them in words) and words the prompt was made from.
    /// No operand of a held-out row is in a training prompt, and none but numbers (as results) in a training answer. Empty for fixed questions, which are never held out.
    /// </summary>
    public required IReadOnlyList<string> Operands { get; init; }
}
