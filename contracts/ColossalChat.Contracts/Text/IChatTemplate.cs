namespace ColossalChat.Contracts;

/// <summary>Who speaks.</summary>
public enum ChatRole
{
    /// <summary>Sets the frame; only first.</summary>
    System,

    /// <summary>The person.</summary>
    User,

    /// <summary>The model.</summary>
    Assistant,
}

/// <summary>One turn of a conversation.</summary>
/// <param name="Role">Who speaks.</param>
/// <param name="Content">What is said.</param>
public sealed record ChatMessage(ChatRole Role, string Content)
{
    /// <summary>
    /// Material that an instruction works on (the <c>input</c> of Alpaca rows), or null. Templates that have a place for
    /// it put it there; all others render <see cref="Text"/>.
    /// </summary>
    public string? Input { get; init; }

    /// <summary>Content, and on the next line the input when there is one.</summary>
    public string Text => string.IsNullOrEmpty(Input) ? Content : $"{Content}\n{Input}";
}

/// <summary>A rendered conversation.</summary>
/// <param name="Ids">Token ids, exactly one BOS in front when the tokenizer has one.</param>
/// <param name="IsTarget">True on the tokens of assistant turns and the stop token after each; same length.</param>
public sealed record EncodedChat(int[] Ids, bool[] IsTarget);

/// <summary>
/// Turns a conversation into ids, the same in training, rollout and chat. Rendering is prefix-preserving: more turns
/// only add ids at the end. Special tokens are spliced in as ids, so text cannot forge them.
/// </summary>
public interface IChatTemplate
{
    /// <summary>Name, such as <c>chatml</c>, <c>llama2</c>, <c>alpaca</c> or <c>plain</c>.</summary>
    string Name { get; }

    /// <summary>Ids that end an assistant turn.</summary>
    IReadOnlyList<int> StopIds { get; }

    /// <summary>Renders a conversation.</summary>
    /// <param name="messages">System first if at all, then user and assistant in turn.</param>
    /// <param name="forAnswer">True appends what invites the assistant's next turn.</param>
    /// <exception cref="UserErrorException">Roles are out of order.</exception>
    EncodedChat Encode(IReadOnlyList<ChatMessage> messages, bool forAnswer);
}

/// <summary>Makes a chat template for a tokenizer.</summary>
public interface IChatTemplateFactory
{
    /// <summary>The template over this tokenizer's ids.</summary>
    IChatTemplate For(ITokenizer tokenizer);
}
