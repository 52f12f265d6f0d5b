using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Cache;
using ColossalChat.Models.Generation;
using ColossalChat.PluginKit;
using Xunit;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class TextGeneratorTests : IDisposable
{
    private readonly ICausalModel _model = SmallModel.Create();
    private readonly TextGenerator _generator;

    public TextGeneratorTests() => _generator = new TextGenerator(_model, new ByteTokenizer());

    [Fact]
    public void Ragged_prompts_together_answer_as_each_alone()
    {
        var requests = Enumerable.Range(0, 6).Select(i => Request(i, 3 + (4 * i), 12 + i, new SamplingOptions { Temperature = i % 2 == 0 ? 0 : 0.8 })).ToArray();
        var together = _generator.Generate(requests, default);
        for (var i = 0; i < requests.Length; i++)
        {
            var alone = _generator.Generate([requests[i]], default)[0];
            Assert.Equal(alone.Ids, together[i].Ids);
            for (var t = 0; t < alone.Ids.Length; t++)
                Assert.InRange(together[i].LogProbs[t], alone.LogProbs[t] - 1e-4, alone.LogProbs[t] + 1e-4);
        }
    }

    [Fact]
    public void After_a_change_of_weights_tokens_are_those_that_the_new_ones_alone_would_draw()
    {
        var requests = Enumerable.Range(0, 3).Select(i => Request(i, 3 + (2 * i), 12)).ToArray();
        var asked = 0;

        var answers = _generator.Generate(requests, () => asked++ == 5 && Change(), default);

        var judge = new LanguageModel(_model);
        foreach (var (request, answer) in requests.Zip(answers))
        {
            // The first question comes before the first two tokens, each later one before one more.
            Assert.Equal(answer.Ids.Select((_, token) => token <= 5 ? 0 : 1), answer.Changes);
            int[] whole = [.. request.Prompt.Span, .. answer.Ids];
            var changed = judge.LogProbs(Ragged.FromRows([whole]), default).Values.ToArray()[(request.Prompt.Length - 1)..];
            for (var t = 6; t < changed.Length; t++)
                Assert.InRange(answer.LogProbs[t], changed[t] - 1e-4, changed[t] + 1e-4);
            Assert.True(Math.Abs(answer.LogProbs[2] - changed[2]) > 1e-3, "the change changed nothing");
        }

        bool Change()
        {
            using var noGrad = TorchSharp.torch.no_grad();
            foreach (var slot in _model.Blocks.SelectMany(block => block.Parameters))
                slot.Value.detach().mul_(1.3);
            return true;
        }
    }

    [Fact]
    public void Same_requests_give_the_same_bits_and_another_key_another_text()
    {
        var requests = Enumerable.Range(0, 5).Select(i => Request(i, 4 + i, 20)).ToArray();
        var (first, second) = (_generator.Generate(requests, default), _generator.Generate(requests, default));
        for (var i = 0; i < requests.Length; i++)
        {
            Assert.Equal(first[i].Ids, second[i].Ids);
            Assert.Equal(first[i].LogProbs, second[i].LogProbs);
        }

        var other = _generator.Generate([.. requests.Select(request => request with { Key = request.Key with { Seed = 99 } })], default);
        Assert.NotEqual(first[0].Ids, other[0].Ids);
    }

    [Fact]
    public void Log_probabilities_are_those_that_the_model_gives_the_answer()
    {
        var requests = new[] { Request(1, 5, 15), Request(2, 9, 15, new SamplingOptions { Temperature = 0 }) };
        var answers = _generator.Generate(requests, default);
        var judge = new LanguageModel(_model);
        for (var i = 0; i < requests.Length; i++)
        {
            int[] whole = [.. requests[i].Prompt.Span, .. answers[i].Ids];
            var expected = judge.LogProbs(Ragged.FromRows([whole]), default).Values.ToArray()[(requests[i].Prompt.Length - 1)..];
            for (var t = 0; t < expected.Length; t++)
                Assert.InRange(answers[i].LogProbs[t], expected[t] - 1e-4, expected[t] + 1e-4);
        }
    }

    [Fact]
    public void Frequencies_of_first_tokens_follow_the_models_probabilities()
    {
        var prompt = SmallModel.Prompt(7, 6);
        var expected = new LanguageModel(_model).NextLogProbs(prompt, default);
        const int Draws = 4000;
        var counts = new int[expected.Length];
        foreach (var answer in _generator.Generate([.. Enumerable.Range(0, Draws).Select(i => new GenerationRequest { Prompt = prompt, MaxNewTokens = 1, Key = new RandomKey(5, RandomPurpose.Sampling, 0, i) })], default))
            counts[answer.Ids[0]]++;
        for (var id = 0; id < expected.Length; id++)
        {
            var probability = Math.Exp(expected[id]);
            var spread = Math.Sqrt(Draws * probability * (1 - probability));
            Assert.InRange(counts[id], (Draws * probability) - (5 * spread) - 2, (Draws * probability) + (5 * spread) + 2);
        }
    }

    [Fact]
    public void More_requests_than_rows_take_turns_and_answer_as_each_alone()
    {
        Answer[] Begin() => [.. Enumerable.Range(0, 7).Select(i => new Answer(Request(i, 2 + i, 3 + (5 * i % 11)), null, 64, null))];
        var (together, alone) = (Begin(), Begin());
        using (var session = new GenerationSession(_model, 3, 64))
            for (var next = 0; next < together.Length || session.Running > 0; session.Step())
            {
                var joining = Math.Min(session.Free, together.Length - next);
                session.Admit(together[next..(next + joining)]);
                next += joining;
            }

        foreach (var answer in alone)
        {
            using var session = new GenerationSession(_model, 1, 64);
            session.Admit([answer]);
            while (session.Running > 0)
                session.Step();
        }

        Assert.Equal(alone.Select(answer => string.Join(" ", answer.Result().Ids)), together.Select(answer => string.Join(" ", answer.Result().Ids)));
    }

    [Fact]
    public void Stop_id_ends_the_answer_and_is_part_of_it()
    {
        var plain = _generator.Generate([Request(3, 5, 20)], default)[0];
        var stop = plain.Ids[7];
        var answer = _generator.Generate([Request(3, 5, 20) with { StopIds = [stop] }], default)[0];
        Assert.Equal(plain.Ids[..(Array.IndexOf(plain.Ids, stop) + 1)], answer.Ids);
        Assert.Equal(FinishReason.Stop, answer.FinishReason);
        Assert.Equal(FinishReason.Length, plain.FinishReason);
    }

    [Fact]
    public void Repetition_penalty_keeps_greedy_text_from_repeating()
    {
        var request = Request(4, 5, 30, new SamplingOptions { Temperature = 0, RepetitionPenalty = 10 });
        var answer = _generator.Generate([request], default)[0];
        var plain = _generator.Generate([request with { Sampling = new SamplingOptions { Temperature = 0 } }], default)[0];
        Assert.True(answer.Ids.Distinct().Count() >= plain.Ids.Distinct().Count());
        Assert.Equal(30, answer.Ids.Concat(request.Prompt.ToArray()).Distinct().Count() - request.Prompt.ToArray().Distinct().Count());
    }

    [Fact]
    public void Context_ends_an_answer_and_a_prompt_without_room_is_refused()
    {
        Assert.Equal(4, _generator.Generate([Request(1, 60, 100)], default)[0].Ids.Length);
        foreach (var (request, expected) in new[]
        {
            (Request(1, 64, 1), "leaves no room"), (Request(1, 0, 1), "prompt is empty"), (Request(1, 1, 0), "at least 1"),
            (Request(1, 1, 1, new SamplingOptions { TopP = 0 }), "top-p is 0"),
            (Request(1, 1, 1) with { Prompt = new[] { 258 } }, "Token id 258 is outside"),
        })
            Assert.Contains(expected, Assert.Throws<UserErrorException>(() => _generator.Generate([request], default)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Streams_give_what_a_batch_gives_token_by_token()
    {
        var requests = Enumerable.Range(0, 4).Select(i => Request(i, 4 + i, 10 + (3 * i))).ToArray();
        var expected = _generator.Generate(requests, default);
        var streams = await Task.WhenAll(requests.Select(Read));
        for (var i = 0; i < requests.Length; i++)
        {
            Assert.Equal(expected[i].Ids, streams[i].Select(token => token.Id));
            Assert.Equal(expected[i].Text, string.Concat(streams[i].Select(token => token.Text)));
            Assert.Equal(expected[i].FinishReason, streams[i][^1].FinishReason);
            Assert.All(streams[i][..^1], token => Assert.Null(token.FinishReason));
        }
    }

    [Fact]
    public async Task Giving_up_a_stream_frees_its_place_and_others_go_on()
    {
        await foreach (var token in _generator.Submit(Request(1, 4, 50), default))
        {
            Assert.InRange(token.Id, 0, 257);
            break;
        }

        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var token in _generator.Submit(Request(2, 4, 50), stop.Token))
                await stop.CancelAsync();
        });
        Assert.Equal(10, (await Read(Request(3, 4, 10))).Count);
    }

    [Fact]
    public async Task Disposing_ends_streams_with_an_error()
    {
        using var mayGoOn = new SemaphoreSlim(1);
        var watched = new WatchedModel(_model) { BeforePass = _ => mayGoOn.Wait() };
        var generator = new TextGenerator(watched, new ByteTokenizer());
        await using var stream = generator.Submit(Request(1, 4, 55), default).GetAsyncEnumerator();
        Assert.True(await stream.MoveNextAsync());

        // The first token is out and the second pass is held up, so the stream cannot end before the generator does.
        var disposing = Task.Run(generator.Dispose);
        while (!Refuses(generator))
            await Task.Yield();
        mayGoOn.Release();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
        {
            while (await stream.MoveNextAsync())
                mayGoOn.Release();
        });
        await disposing;
    }

    [Fact]
    public async Task One_stream_takes_the_memory_of_one_row()
    {
        var most = 0L;
        var watched = new WatchedModel(_model) { BeforePass = cache => most = Math.Max(most, cache!.Bytes) };
        using var generator = new TextGenerator(watched, new ByteTokenizer());
        using var oneRow = (KeyValueCache)_model.NewCache(1, 64);
        await foreach (var token in generator.Submit(Request(1, 4, 50), default))
            Assert.InRange(token.Id, 0, 257);
        Assert.Equal(oneRow.Bytes, most);
    }

    [Fact]
    public void Answers_that_join_one_by_one_are_those_that_each_gives_alone()
    {
        Answer[] Begin() => [.. Enumerable.Range(0, 7).Select(i => new Answer(Request(i, 2 + (3 * i), 30), null, 64, null))];
        var (joining, alone) = (Begin(), Begin());
        using (var session = new GenerationSession(_model, 32, 64))
        {
            foreach (var answer in joining)
            {
                session.Admit([answer]);
                session.Step();
                session.Step();
            }

            while (session.Running > 0)
                session.Step();
        }

        foreach (var answer in alone)
        {
            using var session = new GenerationSession(_model, 1, 64);
            session.Admit([answer]);
            while (session.Running > 0)
                session.Step();
        }

        Assert.Equal(alone.Select(answer => string.Join(" ", answer.Result().Ids)), joining.Select(answer => string.Join(" ", answer.Result().Ids)));
    }

    [Fact]
    public void Cancelled_batches_stop()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.Throws<OperationCanceledException>(() => _generator.Generate([Request(1, 4, 50)], stop.Token));
    }

    [Fact]
    public void No_tensor_stays_behind_after_generating()
    {
        var requests = Enumerable.Range(0, 3).Select(i => Request(i, 3 + i, 4 + i, new SamplingOptions { TopK = 9, RepetitionPenalty = 1.2 })).ToArray();
        LiveTensors.StayConstant(() => _generator.Generate(requests, default), 50);
    }

    public void Dispose()
    {
        _generator.Dispose();
        _model.Dispose();
    }

    private static GenerationRequest Request(int seed, int prompt, int tokens, SamplingOptions? sampling = null) => new()
    {
        Prompt = SmallModel.Prompt(seed, prompt),
        MaxNewTokens = tokens,
        Sampling = sampling ?? new SamplingOptions(),
        Key = new RandomKey(11, RandomPurpose.Sampling, 0, seed),
    };

    private static bool Refuses(TextGenerator generator) =>
        generator.Submit(Request(2, 4, 5), default).GetAsyncEnumerator().MoveNextAsync().AsTask().Exception?.InnerException is ObjectDisposedException;

    private async Task<List<TokenEvent>> Read(GenerationRequest request)
    {
        var tokens = new List<TokenEvent>();
        await foreach (var token in _generator.Submit(request, default))
            tokens.Add(token);
        return tokens;
    }
}
