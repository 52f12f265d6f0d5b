using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Models.Generation;

/// <summary>One answer while it is written.</summary>
internal sealed class Answer
{
    private readonly GenerationRequest _request;
    private readonly Action<TokenEvent>? _onToken;
    private readonly ITextStream? _stream;
    private readonly StopMatcher _stops;
    private readonly StringBuilder _text = new();
    private readonly List<int> _ids = [];
    private readonly List<float> _logProbs = [];
    private readonly List<int> _changes = [];
    private int _change;
    private readonly HashSet<int> _stopIds;
    private readonly HashSet<int>? _present;
    private readonly int _limit;

    /// <summary>Begins an answer.</summary>
    /// <param name="request">What is wanted.</param>
    /// <param name="tokenizer">For its text; null gives none.</param>
    /// <param name="contextLength">Most tokens of prompt and answer.</param>
    /// <param name="onToken">Told of every token; may be null.</param>
    /// <exception cref="UserErrorException">The request cannot be answered.</exception>
    public Answer(GenerationRequest request, ITokenizer? tokenizer, int contextLength, Action<TokenEvent>? onToken)
    {
        (_request, _onToken) = (request, onToken);
        if (request.Prompt.Length == 0)
            throw new UserErrorException("The prompt is empty; it must have at least one token.");
        if (request.Prompt.Length >= contextLength)
            throw new UserErrorException($"The prompt has {request.Prompt.Length} tokens; the model's context of {contextLength} leaves no room for an answer. Shorten the prompt.");
        if (request.MaxNewTokens < 1)
            throw new UserErrorException($"The limit of new tokens is {request.MaxNewTokens}; it must be at least 1.");
        if (request.Sampling.Problems().FirstOrDefault() is { } problem)
            throw new UserErrorException(problem);
        var stops = request.StopStrings.Where(stop => stop.Length > 0).ToArray();
        if (stops.Length > 0 && tokenizer is null)
            throw new UserErrorException("Stop strings need a tokenizer, and this model's folder has none.");
        (_stream, _stops) = (tokenizer?.NewStream(), new StopMatcher(stops));
        _stopIds = [.. request.StopIds];
        _limit = Math.Min(request.MaxNewTokens, contextLength - request.Prompt.Length);
        if (request.Sampling.RepetitionPenalty != 1)
            _present = [.. request.Prompt.Span];
    }

    /// <summary>Prompt ids.</summary>
    public ReadOnlyMemory<int> Prompt => _request.Prompt;

    /// <summary>How tokens are drawn.</summary>
    public SamplingOptions Sampling => _request.Sampling;

    /// <summary>Most tokens that prompt and answer can come to.</summary>
    public int MostTokens => _request.Prompt.Length + _limit;

    /// <summary>Tokens that the repetition penalty acts on; null when it is off.</summary>
    public IReadOnlySet<int>? Present => _present;

    /// <summary>Uniform number in [0, 1) for the next token.</summary>
    public double NextUniform => _request.Key.Uniform(_ids.Count);

    /// <summary>The newest token.</summary>
    public int Last => _ids[^1];

    /// <summary>Prompt and answer so far.</summary>
    public ReadOnlyMemory<int> Written => (int[])[.. Prompt.Span, .. _ids];

    /// <summary>Why it ended; null while it goes on.</summary>
    public FinishReason? Finished { get; private set; }

    /// <summary>The next tokens are drawn with other weights.</summary>
    public void NoteChange() => _change++;

    /// <summary>Takes the next token.</summary>
    public void Accept(int id, float logProb)
    {
        _ids.Add(id);
        _logProbs.Add(logProb);
        _changes.Add(_change);
        _present?.Add(id);
        var text = _stops.Add(_stream?.Add(id) ?? "", out var isMatch);
        if (isMatch || _stopIds.Contains(id))
            Finished = FinishReason.Stop;
        else if (_ids.Count == _limit)
            Finished = FinishReason.Length;
        if (Finished is not null && !isMatch)
        {
            text += _stops.Add(_stream?.Finish() ?? "", out isMatch);
            if (isMatch)
                Finished = FinishReason.Stop;
            else
                text += _stops.Finish();
        }

        _text.Append(text);
        _onToken?.Invoke(new TokenEvent(id, logProb, text, Finished));
    }

    /// <summary>Ends it early.</summary>
    public void Cancel() => Finished ??= FinishReason.Cancelled;

    /// <summary>The whole answer.</summary>
    public GeneratedText Result() =>
        new([.. _ids], [.. _logProbs], _text.ToString(), Finished ?? FinishReason.Cancelled) { Changes = _change == 0 ? [] : [.. _changes] };
}
