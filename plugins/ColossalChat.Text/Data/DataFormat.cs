namespace ColossalChat.Text;

/// <summary>Shapes of data files.</summary>
public enum DataFormat
{
    /// <summary>Told by the file's first row.</summary>
    Auto,

    /// <summary><c>instruction</c>, <c>input</c>, <c>output</c>; or <c>prompt</c> and <c>completion</c>.</summary>
    Alpaca,

    /// <summary><c>messages</c> or <c>conversations</c>: a list of turns.</summary>
    Conversation,

    /// <summary><c>chosen</c> and <c>rejected</c> after a prompt.</summary>
    Preference,

    /// <summary><c>prompt</c>, <c>messages</c>, <c>question</c> or <c>instruction</c>; all other fields are kept for rewards.</summary>
    Prompt,

    /// <summary>Plain text: paragraphs parted by blank lines, or rows with one field <c>text</c>.</summary>
    Text,
}
