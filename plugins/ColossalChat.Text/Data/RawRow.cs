namespace ColossalChat.Text;

/// <summary>One row as it stands in its file.</summary>
/// <param name="Row">From 1: line of a jsonl file, element of a JSON list, paragraph of a text.</param>
/// <param name="Content">UTF-8 bytes of one JSON value or paragraph.</param>
/// <param name="Problem">Why it cannot be read; null when it can.</param>
internal readonly record struct RawRow(int Row, ReadOnlyMemory<byte> Content, string? Problem = null);
