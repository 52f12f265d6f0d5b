using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>
/// What all templates share: order of roles, BOS once in front, answers and the stop token after them as targets.
/// An answer is what <see cref="IChatTemplate.Encode"/> with <c>forAnswer</c> invites, so training, rollout and chat see
/// the same ids.
/// </summary>
internal abstract class ChatTemplate(ITokenizer tokenizer) : IChatTemplate
{
    /// <inheritdoc/>
    public abstract string Name { get; }

    /// <summary>
    /// An end token that is also BOS (stories260K has one) comes last, so that training never writes a second BOS into a
    /// conversation.
    /// </summary>
    public virtual IReadOnlyList<int> StopIds { get; } = [.. tokenizer.EosIds.OrderBy(id => id == tokenizer.BosId)];

    /// <summary>The tokenizer it writes with.</summary>
    protected ITokenizer Tokenizer => tokenizer;

    /// <inheritdoc/>
    public EncodedChat Encode(IReadOnlyList<ChatMessage> messages, bool forAnswer)
    {
        CheckOrder(messages, forAnswer);
        var writer = new ChatWriter(tokenizer);
        for (var turn = 0; turn < messages.Count; turn++)
        {
            if (messages[turn].Role == ChatRole.System)
                WriteSystem(writer, messages[turn].Text);
            else if (messages[turn].Role == ChatRole.User)
                WriteUser(writer, messages[turn], turn > 0 ? messages[turn - 1].Role : null);
            else
                WriteAssistant(writer, messages[turn].Text);
        }

        if (forAnswer)
            WriteInvitation(writer);
        return writer.Finish();
    }

    /// <summary>Writes the frame; it comes first.</summary>
    protected abstract void WriteSystem(ChatWriter writer, string text);

    /// <summary>Writes what the person says.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="message">The turn.</param>
    /// <param name="before">Who spoke before; null for nobody.</param>
    protected abstract void WriteUser(ChatWriter writer, ChatMessage message, ChatRole? before);

    /// <summary>Writes what invites the model's answer.</summary>
    protected abstract void WriteInvitation(ChatWriter writer);

    /// <summary>Writes the answer's own text.</summary>
    protected virtual void WriteAnswer(ChatWriter writer, string text) => writer.Begin(text, isTarget: true);

    private void WriteAssistant(ChatWriter writer, string text)
    {
        WriteInvitation(writer);
        WriteAnswer(writer, text);
        writer.Add(StopIds[0], isTarget: true);
    }

    private static void CheckOrder(IReadOnlyList<ChatMessage> messages, bool forAnswer)
    {
        var expectsUser = true;
        for (var turn = 0; turn < messages.Count; turn++)
        {
            if (turn == 0 && messages[0].Role == ChatRole.System)
                continue;
            if (messages[turn].Role != (expectsUser ? ChatRole.User : ChatRole.Assistant))
                throw new UserErrorException(
                    $"Turn {turn + 1} of the conversation is {messages[turn].Role}; expected {(expectsUser ? ChatRole.User : ChatRole.Assistant)}. "
                    + "A conversation begins with at most one System turn, then User and Assistant take turns.");
            expectsUser = !expectsUser;
        }

        if (forAnswer && expectsUser && messages.Count > 0)
            throw new UserErrorException(
                $"The conversation ends with a {messages[^1].Role} turn, so there is nothing to answer. Add a User turn.");
    }
}

/// <summary>Makes one kind of template.</summary>
internal sealed class ChatTemplateFactory(Func<ITokenizer, IChatTemplate> make) : IChatTemplateFactory
{
    /// <inheritdoc/>
    public IChatTemplate For(ITokenizer tokenizer) => make(tokenizer);
}
