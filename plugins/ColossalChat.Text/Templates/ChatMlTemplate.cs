using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>
/// ChatML: <c>&lt;|im_start|&gt;ROLE newline TEXT &lt;|im_end|&gt; newline</c>. A tokenizer without these special tokens spells
/// the first as plain text and ends turns with its own end token, which no text can forge.
/// </summary>
internal sealed class ChatMlTemplate : ChatTemplate
{
    private const string StartText = "<|im_start|>";
    private readonly int? _startId;
    private readonly int[] _stopIds;

    /// <summary>The template over a tokenizer's ids.</summary>
    public ChatMlTemplate(ITokenizer tokenizer)
        : base(tokenizer)
    {
        _startId = IdOf(tokenizer, StartText);
        _stopIds = IdOf(tokenizer, "<|im_end|>") is { } end ? [.. base.StopIds.Prepend(end).Distinct()] : [.. base.StopIds];
    }

    /// <inheritdoc/>
    public override string Name => "chatml";

    /// <inheritdoc/>
    public override IReadOnlyList<int> StopIds => _stopIds;

    /// <inheritdoc/>
    protected override void WriteSystem(ChatWriter writer, string text) => WriteTurn(writer, "system", text);

    /// <inheritdoc/>
    protected override void WriteUser(ChatWriter writer, ChatMessage message, ChatRole? before) =>
        WriteTurn(writer, "user", message.Text);

    /// <inheritdoc/>
    protected override void WriteInvitation(ChatWriter writer) => WriteHead(writer, "assistant", "");

    private void WriteTurn(ChatWriter writer, string role, string text)
    {
        WriteHead(writer, role, text);
        writer.Add(StopIds[0]);
    }

    // The newline after the turn before is written here: a rollout ends with the stop token, not with a newline.
    private void WriteHead(ChatWriter writer, string role, string text)
    {
        if (!writer.IsEmpty)
            writer.Continue("\n");
        if (_startId is { } start)
            writer.Add(start);
        writer.Continue($"{(_startId is null ? StartText : "")}{role}\n{text}");
    }

    private static int? IdOf(ITokenizer tokenizer, string text) =>
        tokenizer.SpecialTokens.TryGetValue(text, out var id) ? id : null;
}
