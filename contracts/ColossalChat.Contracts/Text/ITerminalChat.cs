namespace ColossalChat.Contracts;

/// <summary>A conversation in the terminal. Registered as <c>terminal</c>.</summary>
public interface ITerminalChat
{
    /// <summary>Talks until the input ends or the person leaves.</summary>
    /// <param name="model">The model that answers; must have a tokenizer.</param>
    /// <param name="input">Where lines come from.</param>
    /// <param name="output">Where answers go, as they are written.</param>
    /// <param name="cancel">Ends the conversation.</param>
    Task<ExitCode> RunAsync(IOpenModel model, TextReader input, TextWriter output, CancellationToken cancel);
}
