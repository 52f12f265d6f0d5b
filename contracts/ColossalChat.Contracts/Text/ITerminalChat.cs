namespace ColossalChat.Contracts;

/// <summary>A conversation in the terminal. Registered as <c>terminal</c>.</summary>
public interface ITerminalChat
{
    /// <summary>Talks until the input ends or the person leaves.</summary>
    /// <param name="model">The model that answers; must have a tokenizer.</param>
    /// <param name="start">How the conversation is held.</param>
    /// <param name="input">Where lines come from.</param>
    /// <param name="output">Where answers go, as they are written.</param>
    /// <param name="cancel">Ends the conversation.</param>
    Task<ExitCode> RunAsync(IOpenModel model, TerminalChatStart start, TextReader input, TextWriter output, CancellationToken cancel);
}

/// <summary>How a conversation is held.</summary>
public sealed record TerminalChatStart
{
    /// <summary>Every question stands alone: for a model that was trained on single questions. Default false.</summary>
    public bool IsSingleTurn { get; init; }

    /// <summary>Questions shown at the beginning, for people who do not know what the model can do. Default none.</summary>
    public IReadOnlyList<string> Examples { get; init; } = [];
}
