using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Models.Generation;

// R = running answers, T = tokens of the longest prompt, H = hidden size, V = vocabulary.

/// <summary>
/// Answers that are written together. Running ones stand in the first cache rows without gaps; when one ends, the last
/// takes its row. New ones join at any time.
/// </summary>
internal sealed class GenerationSession : IDisposable
{
    /// <summary>Padded prompt tokens of one pass.</summary>
    private const int PrefillTokens = 8192;
    private readonly ICausalModel _model;
    private readonly IKeyValueCache _cache;
    private readonly List<Answer> _running = [];

    /// <summary>A session.</summary>
    /// <param name="model">The model.</param>
    /// <param name="rows">Answers that may run at one time.</param>
    /// <param name="tokens">Most tokens of one prompt and answer.</param>
    public GenerationSession(ICausalModel model, int rows, int tokens) =>
        (_model, _cache) = (model, model.NewCache(rows, tokens));

    /// <summary>Answers being written.</summary>
    public int Running => _running.Count;

    /// <summary>Answers that could join.</summary>
    public int Free => _cache.Rows - _running.Count;

    /// <summary>Lets answers join: reads their prompts and draws their first tokens.</summary>
    public void Admit(IReadOnlyList<Answer> answers)
    {
        var prompts = answers.Select(answer => answer.Prompt).ToArray();
        foreach (var (pass, longest) in Passes(prompts))
        {
            var first = _running.Count;
            _running.AddRange(answers.Take(pass));
            Advance([.. Enumerable.Range(first, _running.Count - first)], _running.GetRange(first, _running.Count - first), prompts[pass], longest);
            RemoveFinished();
        }
    }

    /// <summary>One more token for every running answer.</summary>
    public void Step()
    {
        RemoveFinished();
        if (_running.Count == 0)
            return;
        Advance([.. Enumerable.Range(0, _running.Count)], _running, [.. _running.Select(answer => (ReadOnlyMemory<int>)new[] { answer.Last })], 1);
        RemoveFinished();
    }

    /// <summary>
    /// One more token for every running answer, with weights that have changed: what the old ones left in the cache is
    /// forgotten and everything is read again, so that the log-probabilities are those of the new weights alone.
    /// </summary>
    /// <param name="all">Answers that are to know of the change, begun or not.</param>
    public void StepAnew(IEnumerable<Answer> all)
    {
        RemoveFinished();
        foreach (var answer in all)
            answer.NoteChange();
        for (var row = 0; row < _running.Count; row++)
            _cache.Clear(row);
        var (texts, rows) = (_running.Select(answer => answer.Written).ToArray(), Enumerable.Range(0, _running.Count).ToArray());
        foreach (var (pass, longest) in Passes(texts))
            Advance(rows[pass], [.. _running.Take(pass)], texts[pass], longest);
        RemoveFinished();
    }

    /// <inheritdoc/>
    public void Dispose() => _cache.Dispose();

    // Texts that follow one another and are read together, and the longest of them: as many as fit, padded, but one at least.
    private static IEnumerable<(Range Pass, int Longest)> Passes(ReadOnlyMemory<int>[] texts)
    {
        for (var done = 0; done < texts.Length;)
        {
            var (end, longest) = (done, 0);
            while (end < texts.Length)
            {
                var length = Math.Max(longest, texts[end].Length);
                if (end > done && (end + 1 - done) * length > PrefillTokens)
                    break;
                (end, longest) = (end + 1, length);
            }

            yield return (done..end, longest);
            done = end;
        }
    }

    private void Advance(int[] rows, IReadOnlyList<Answer> answers, ReadOnlyMemory<int>[] tokens, int padded)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var ids = new long[rows.Length * padded];
        var last = new long[rows.Length];
        for (var i = 0; i < rows.Length; i++)
        {
            var row = tokens[i].Span;
            for (var t = 0; t < row.Length; t++)
                ids[(i * padded) + t] = row[t];
            last[i] = ((long)i * padded) + row.Length - 1;
        }

        using var step = _cache.Plan(rows, [.. tokens.Select(row => row.Length)]);
        var hidden = _model.Embed(tensor(ids, [rows.Length, padded], device: _model.Device));
        foreach (var block in _model.Blocks)
        {
            var next = block.Forward(hidden, _cache, step);
            hidden.Dispose();
            hidden = next;
        }

        _cache.Advance(step);
        var states = hidden.reshape(-1, _model.Shape.HiddenSize);
        if (padded > 1)
            states = states.index_select(0, tensor(last, device: _model.Device));
        TokenSampler.Draw(_model.LanguageHead.Forward(states), answers);
    }

    private void RemoveFinished()
    {
        for (var row = _running.Count - 1; row >= 0; row--)
        {
            if (_running[row].Finished is null)
                continue;
            var last = _running.Count - 1;
            if (row == last)
                _cache.Clear(row);
            else
                _cache.Move(last, row);
            _running[row] = _running[last];
            _running.RemoveAt(last);
        }
    }
}
