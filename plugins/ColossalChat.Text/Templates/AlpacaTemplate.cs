using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>
/// The instruction format of ColossalChat's first training scripts (Stanford Alpaca's): preamble, <c>### Instruction:</c>,
/// <c>### Input:</c> where there is one, <c>### Response:</c>. A system turn takes the preamble's place; later turns repeat
/// the headings without it.
/// </summary>
internal sealed class AlpacaTemplate(ITokenizer tokenizer) : ChatTemplate(tokenizer)
{
    private const string Preamble =
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.";

    private const string PreambleWithInput =
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        + "Write a response that appropriately completes the request.";

    /// <inheritdoc/>
    public override string Name => "alpaca";

    /// <inheritdoc/>
    protected override void WriteSystem(ChatWriter writer, string text) => writer.Begin(text);

    /// <inheritdoc/>
    protected override void WriteUser(ChatWriter writer, ChatMessage message, ChatRole? before)
    {
        var hasInput = !string.IsNullOrEmpty(message.Input);
        if (before is null)
            writer.Begin(hasInput ? PreambleWithInput : Preamble);
        writer.Continue($"\n\n### Instruction:\n{message.Content}");
        if (hasInput)
            writer.Continue($"\n\n### Input:\n{message.Input}");
    }

    /// <inheritdoc/>
    protected override void WriteInvitation(ChatWriter writer) => writer.Continue("\n\n### Response:");
}
