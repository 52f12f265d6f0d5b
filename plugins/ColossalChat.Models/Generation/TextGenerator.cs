using System.Runtime.CompilerServices;
using System.Threading.Channels;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Models.Generation;

/// <summary>
/// Writes text with a model. <see cref="Generate(IReadOnlyList{GenerationRequest}, CancellationToken)"/> computes on the caller's thread. <see cref="Submit"/> computes on one
/// thread of the generator's own, which lives as long as there is something to write; whoever reads the answers holds the
/// device's lease meanwhile.
/// </summary>
internal sealed class TextGenerator(ICausalModel model, ITokenizer? tokenizer) : ITextGenerator, IDisposable
{
    /// <summary>Answers written at one time.</summary>
    private const int MostRows = 128;

    /// <summary>Streams written at one time; fewer, because the cache has memory for the longest in each row it holds.</summary>
    private const int MostStreams = 32;
    private readonly Lock _lock = new();
    private readonly Queue<(Answer Answer, ChannelWriter<TokenEvent> Events)> _waiting = [];
    private Thread? _worker;
    private bool _isDisposed;

    /// <inheritdoc/>
    public int ContextLength => model.Shape.ContextLength;

    /// <inheritdoc/>
    public IReadOnlyList<GeneratedText> Generate(IReadOnlyList<GenerationRequest> requests, CancellationToken cancel) =>
        Generate(requests, () => false, cancel);

    /// <inheritdoc/>
    public IReadOnlyList<GeneratedText> Generate(IReadOnlyList<GenerationRequest> requests, Func<bool> changed, CancellationToken cancel)
    {
        if (requests.Count == 0)
            return [];
        var answers = requests.Select(request => Begin(request, null)).ToArray();
        using var session = new GenerationSession(model, Math.Min(requests.Count, MostRows), answers.Max(answer => answer.MostTokens));
        for (var next = 0; next < answers.Length || session.Running > 0;)
        {
            cancel.ThrowIfCancellationRequested();
            var hasChanged = changed();
            var joining = Math.Min(session.Free, answers.Length - next);
            if (hasChanged)
                session.StepAnew(answers);
            session.Admit(answers[next..(next + joining)]);
            next += joining;
            session.Step();
        }

        return [.. answers.Select(answer => answer.Result())];
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<TokenEvent> Submit(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancel)
    {
        var events = Channel.CreateUnbounded<TokenEvent>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        var answer = Begin(request, token => events.Writer.TryWrite(token));
        Enqueue(answer, events.Writer);
        try
        {
            await foreach (var token in events.Reader.ReadAllAsync(cancel).ConfigureAwait(false))
                yield return token;
        }
        finally
        {
            answer.Cancel();
        }
    }

    /// <summary>Ends all streams; the worker's thread ends after its running step.</summary>
    public void Dispose()
    {
        Thread? worker;
        lock (_lock)
            (_isDisposed, worker) = (true, _worker);
        worker?.Join();
    }

    private Answer Begin(GenerationRequest request, Action<TokenEvent>? onToken)
    {
        IdCheck.Require(request.Prompt.Span, model.Shape.VocabularySize);
        return new Answer(request, tokenizer, ContextLength, onToken);
    }

    private void Enqueue(Answer answer, ChannelWriter<TokenEvent> events)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            _waiting.Enqueue((answer, events));
            if (_worker is not null)
                return;
            _worker = new Thread(Work) { IsBackground = true, Name = "generator" };
            _worker.Start();
        }
    }

    private void Work()
    {
        var running = new List<(Answer Answer, ChannelWriter<TokenEvent> Events)>();
        try
        {
            using var session = new GenerationSession(model, MostStreams, ContextLength);
            while (Next(session, running))
            {
                session.Step();
                Complete(running);
            }
        }
        catch (Exception e)
        {
            // Nobody waits on this thread: the fault goes to whoever reads the answers.
            Fail(running, e);
        }
    }

    /// <summary>Lets waiting answers join; false when the worker's thread should end.</summary>
    private bool Next(GenerationSession session, List<(Answer Answer, ChannelWriter<TokenEvent> Events)> running)
    {
        var joining = new List<(Answer Answer, ChannelWriter<TokenEvent> Events)>();
        lock (_lock)
        {
            while (joining.Count < session.Free && _waiting.TryDequeue(out var next))
                joining.Add(next);
            if (_isDisposed || (joining.Count == 0 && session.Running == 0))
            {
                _worker = null;
                foreach (var (answer, events) in joining.Concat(running).Concat(_waiting))
                {
                    answer.Cancel();
                    events.TryComplete(new ObjectDisposedException(nameof(TextGenerator)));
                }

                _waiting.Clear();
                return false;
            }
        }

        running.AddRange(joining);
        session.Admit([.. joining.Select(entry => entry.Answer).Where(answer => answer.Finished is null)]);
        Complete(running);
        return true;
    }

    private static void Complete(List<(Answer Answer, ChannelWriter<TokenEvent> Events)> running)
    {
        foreach (var (_, events) in running.Where(entry => entry.Answer.Finished is not null))
            events.TryComplete();
        running.RemoveAll(entry => entry.Answer.Finished is not null);
    }

    private void Fail(List<(Answer Answer, ChannelWriter<TokenEvent> Events)> running, Exception fault)
    {
        lock (_lock)
        {
            _worker = null;
            foreach (var (answer, events) in running.Concat(_waiting))
            {
                answer.Cancel();
                events.TryComplete(fault);
            }

            _waiting.Clear();
        }
    }
}
