using ColossalChat.Contracts;

namespace ColossalChat.Chat;

/// <summary>What was said so far, cut to what the model can take.</summary>
internal sealed class Conversation(IChatTemplate template, string? system)
{
    private readonly List<ChatMessage> _turns = [];

    /// <summary>Turns said, questions and answers.</summary>
    public int Turns => _turns.Count;

    /// <summary>Forgets everything but the system message.</summary>
    public void Reset() => _turns.Clear();

    /// <summary>Adds a question and renders the conversation; the oldest question and answer go until it fits.</summary>
    /// <param name="question">What the person says.</param>
    /// <param name="contextLength">Most tokens of the model.</param>
    /// <param name="reserve">Tokens kept free for the answer.</param>
    /// <returns>Ids, and how many questions were forgotten; no ids when the question alone does not fit.</returns>
    public (int[]? Ids, int Forgotten) Ask(string question, int contextLength, int reserve)
    {
        _turns.Add(new(ChatRole.User, question));
        for (var forgotten = 0; ; forgotten++)
        {
            var ids = template.Encode(string.IsNullOrEmpty(system) ? _turns : [new(ChatRole.System, system), .. _turns], forAnswer: true).Ids;
            if (ids.Length + reserve <= contextLength)
                return (ids, forgotten);
            if (_turns.Count == 1)
            {
                _turns.Clear();
                return (null, forgotten);
            }

            _turns.RemoveRange(0, 2);
        }
    }

    /// <summary>Adds the answer to the last question.</summary>
    public void Answer(string text) => _turns.Add(new(ChatRole.Assistant, text));
}
