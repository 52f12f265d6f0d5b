namespace ColossalChat.Contracts;

/// <summary>Rows read from files, in file order.</summary>
public interface IDataset
{
    /// <summary>Good rows.</summary>
    IReadOnlyList<DataRow> Rows { get; }

    /// <summary>Bad rows, when the configuration says to skip them; otherwise the first one is an error.</summary>
    IReadOnlyList<DataProblem> Problems { get; }
}

/// <summary>A bad row.</summary>
/// <param name="File">File name.</param>
/// <param name="Row">Row number from 1: line of a jsonl file, element of a JSON array.</param>
/// <param name="Message">What is wrong.</param>
public sealed record DataProblem(string File, int Row, string Message);

/// <summary>One row of any dataset; which parts are filled depends on its kind.</summary>
/// <param name="File">Where it came from.</param>
/// <param name="Row">Row number from 1.</param>
/// <param name="Prompt">The conversation up to the answer; empty for plain text.</param>
/// <param name="Answer">The answer to learn (instruction data), the better answer (pairs), the text (plain text), or null (prompt sets).</param>
/// <param name="Rejected">The worse answer of a pair, or null.</param>
/// <param name="FieldsJson">All other fields of the row as a JSON object.</param>
public sealed record DataRow(
    string File,
    int Row,
    IReadOnlyList<ChatMessage> Prompt,
    string? Answer,
    string? Rejected,
    string FieldsJson);
