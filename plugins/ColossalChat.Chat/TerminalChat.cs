using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Chat;

/// <summary>A conversation, line by line. Every line is a question, or a command that begins with a slash.</summary>
internal sealed class TerminalChat(TerminalChatOptions options, INodeContext node, IStopKey stopKey) : ITerminalChat
{
    private const string Help = "/reset forgets the conversation, /exit ends it, /help shows this. Ctrl+C stops an answer.";
    private long _answers;

    /// <inheritdoc/>
    public async Task<ExitCode> RunAsync(
        IOpenModel model, TerminalChatStart start, TextReader input, TextWriter output, CancellationToken cancel)
    {
        var text = model.Text ?? throw new UserErrorException(
            "The model folder has no tokenizer, so it cannot chat. Add tokenizer.model, vocab.json with merges.txt, or tokenizer.json.");
        var conversation = new Conversation(text.Template, options.System);
        var echoes = !ReferenceEquals(input, Console.In) || Console.IsInputRedirected;
        await output.WriteLineAsync($"({model.Family}, {model.Parameters:N0} parameters, template {text.Template.Name}. {Help})").ConfigureAwait(false);
        if (start.IsSingleTurn)
            await output.WriteLineAsync("(Every question stands alone; nothing is remembered.)").ConfigureAwait(false);
        if (start.Examples.Count > 0)
            await output.WriteLineAsync($"(Try: {string.Join("  |  ", start.Examples)})").ConfigureAwait(false);
        var isAsking = true;
        try
        {
            while (true)
            {
                isAsking = true;
                await output.WriteAsync("you> ").ConfigureAwait(false);
                await output.FlushAsync(cancel).ConfigureAwait(false);
                var line = await ReadLineAsync(input, cancel).ConfigureAwait(false);
                isAsking = false;
                if (echoes || line is null)
                    await output.WriteLineAsync(line ?? "").ConfigureAwait(false);
                if (line is null || line.Trim() is "/exit" or "/quit")
                    return ExitCode.Ok;
                if (line.TrimStart().StartsWith('/'))
                    await output.WriteLineAsync(Command(line.Trim(), conversation)).ConfigureAwait(false);
                else if (!string.IsNullOrWhiteSpace(line))
                {
                    if (start.IsSingleTurn)
                        conversation.Reset();
                    await AnswerAsync(line, conversation, model, text, output, cancel).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            await output.WriteLineAsync().ConfigureAwait(false);
            return isAsking ? ExitCode.Ok : ExitCode.Interrupted; // At the prompt Ctrl+C is how one leaves.
        }
    }

    private static string Command(string command, Conversation conversation)
    {
        switch (command)
        {
            case "/reset":
                conversation.Reset();
                return "(forgotten)";
            case "/help":
                return $"({Help})";
            default:
                return $"(unknown command '{command}'. {Help})";
        }
    }

    private async Task AnswerAsync(
        string question, Conversation conversation, IOpenModel model, TextModel text, TextWriter output, CancellationToken cancel)
    {
        var context = model.Generator.ContextLength;
        var (ids, forgotten) = conversation.Ask(question, context, Math.Min(options.MaxTokens, Math.Max(1, context / 4)));
        if (ids is null)
        {
            await output.WriteLineAsync($"(this is too long: the model takes {context} tokens, the answer included. Ask something shorter.)").ConfigureAwait(false);
            return;
        }

        if (forgotten > 0)
            await output.WriteLineAsync($"(the oldest {(forgotten == 1 ? "question" : $"{forgotten} questions")} and what was answered no longer fit into {context} tokens and were forgotten)").ConfigureAwait(false);
        await output.WriteAsync("model> ").ConfigureAwait(false);
        var request = new GenerationRequest
        {
            Prompt = ids,
            MaxNewTokens = Math.Min(options.MaxTokens, context - ids.Length),
            Sampling = options.Sampling,
            StopIds = [.. text.Template.StopIds.Union(text.Tokenizer.EosIds)],
            Key = new RandomKey(options.Seed, RandomPurpose.Sampling, _answers++),
        };
        conversation.Answer(await StreamAsync(model.Generator, request, output, cancel).ConfigureAwait(false));
        await output.WriteLineAsync().ConfigureAwait(false);
    }

    private async Task<string> StreamAsync(ITextGenerator generator, GenerationRequest request, TextWriter output, CancellationToken cancel)
    {
        var answer = new StringBuilder();
        using var listening = stopKey.Listen();
        using var lease = node.Devices.Take(options.Device, cancel);
        await foreach (var token in generator.Submit(request, cancel).ConfigureAwait(false))
        {
            answer.Append(token.Text);
            await output.WriteAsync(token.Text).ConfigureAwait(false);
            await output.FlushAsync(cancel).ConfigureAwait(false);
            if (token.FinishReason == FinishReason.Length)
                await output.WriteAsync(" (cut)").ConfigureAwait(false);
            if (stopKey.WasPressed())
            {
                await output.WriteAsync(" (stopped)").ConfigureAwait(false);
                break;
            }
        }

        return answer.ToString();
    }

    // A terminal's reader blocks its thread and knows no cancellation; Ctrl+C must end the wait all the same.
    private static Task<string?> ReadLineAsync(TextReader input, CancellationToken cancel) =>
        Task.Run(input.ReadLine, cancel).WaitAsync(cancel);
}
