using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Collects the ids of a conversation, piece by piece; pieces are encoded on their own, so later ones change nothing.</summary>
internal sealed class ChatWriter(ITokenizer tokenizer)
{
    private readonly List<int> _ids = tokenizer.BosId is { } bos ? [bos] : [];
    private readonly List<bool> _isTarget = tokenizer.BosId is null ? [] : [false];
    private readonly int _start = tokenizer.BosId is null ? 0 : 1;

    /// <summary>True while nothing but BOS is written.</summary>
    public bool IsEmpty => _ids.Count == _start;

    /// <summary>Adds text that stands at the beginning of something: the tokenizer may put its space in front.</summary>
    public void Begin(string text, bool isTarget = false) => Add(tokenizer.Encode(text), isTarget);

    /// <summary>Adds text that goes on right after what is there.</summary>
    public void Continue(string text, bool isTarget = false) => Add(tokenizer.EncodeContinuation(text), isTarget);

    /// <summary>Adds one id.</summary>
    public void Add(int id, bool isTarget = false) => Add([id], isTarget);

    /// <summary>What was written. The first token is never a target: nothing predicts it.</summary>
    public EncodedChat Finish()
    {
        if (_isTarget.Count > 0)
            _isTarget[0] = false;
        return new EncodedChat([.. _ids], [.. _isTarget]);
    }

    private void Add(IReadOnlyList<int> ids, bool isTarget)
    {
        _ids.AddRange(ids);
        _isTarget.AddRange(Enumerable.Repeat(isTarget, ids.Count));
    }
}
