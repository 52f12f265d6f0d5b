using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>
/// LLaMA-2's: <c>[INST] &lt;&lt;SYS&gt;&gt; ... &lt;&lt;/SYS&gt;&gt; QUESTION [/INST] ANSWER &lt;/s&gt;</c>. BOS stands once in front of the
/// whole conversation, and the end token right after an answer, where the model itself writes it.
/// </summary>
internal sealed class Llama2Template(ITokenizer tokenizer) : ChatTemplate(tokenizer)
{
    /// <inheritdoc/>
    public override string Name => "llama2";

    /// <inheritdoc/>
    protected override void WriteSystem(ChatWriter writer, string text) => writer.Begin($"[INST] <<SYS>>\n{text}\n<</SYS>>\n\n");

    /// <inheritdoc/>
    protected override void WriteUser(ChatWriter writer, ChatMessage message, ChatRole? before)
    {
        if (before == ChatRole.System)
            writer.Continue($"{message.Text} [/INST]");
        else
            writer.Begin($"[INST] {message.Text} [/INST]");
    }

    /// <inheritdoc/>
    protected override void WriteInvitation(ChatWriter writer)
    {
        // [/INST] is the invitation; it ends the question.
    }
}
