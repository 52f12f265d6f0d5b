using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>For base models: the prompt as it is, the answer right behind it, the end token. A story goes on as one text.</summary>
internal sealed class PlainTemplate(ITokenizer tokenizer) : ChatTemplate(tokenizer)
{
    /// <inheritdoc/>
    public override string Name => "plain";

    /// <summary>As the model knows them: stories260K ends its stories with BOS.</summary>
    public override IReadOnlyList<int> StopIds => Tokenizer.EosIds;

    /// <inheritdoc/>
    protected override void WriteSystem(ChatWriter writer, string text) => Write(writer, $"{text}\n\n", isTarget: false);

    /// <inheritdoc/>
    protected override void WriteUser(ChatWriter writer, ChatMessage message, ChatRole? before) =>
        Write(writer, message.Text, isTarget: false);

    /// <inheritdoc/>
    protected override void WriteInvitation(ChatWriter writer)
    {
        // The prompt itself invites what follows.
    }

    /// <inheritdoc/>
    protected override void WriteAnswer(ChatWriter writer, string text) => Write(writer, text, isTarget: true);

    private static void Write(ChatWriter writer, string text, bool isTarget)
    {
        if (writer.IsEmpty)
            writer.Begin(text, isTarget);
        else
            writer.Continue(text, isTarget);
    }
}
