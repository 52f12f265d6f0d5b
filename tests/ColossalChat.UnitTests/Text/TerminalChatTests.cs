using System.Runtime.CompilerServices;
using ColossalChat.Chat;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.UnitTests.Text;

[Trait("Category", "CI")]
public sealed class TerminalChatTests : IDisposable
{
    private readonly EchoModel _model = new();

    public void Dispose() => _model.Dispose();

    [DataFact]
    public async Task Every_question_sees_the_conversation_before_it()
    {
        var output = await Talk("Hi\n\nBye\n/exit\nnever\n");
        var template = _model.Text!.Template;
        Assert.Equal(2, _model.Prompts.Count);
        Assert.Equal(template.Encode([new(ChatRole.System, "Be kind."), new(ChatRole.User, "Hi")], true).Ids, _model.Prompts[0].Prompt.ToArray());
        Assert.Equal(
            template.Encode([new(ChatRole.System, "Be kind."), new(ChatRole.User, "Hi"), new(ChatRole.Assistant, "answer 1"), new(ChatRole.User, "Bye")], true).Ids,
            _model.Prompts[1].Prompt.ToArray());
        Assert.Contains("model> answer 2", output, StringComparison.Ordinal);
        Assert.NotEqual(_model.Prompts[0].Key, _model.Prompts[1].Key);
        Assert.Equal([1, 2], _model.Prompts[0].StopIds.Order());
    }

    [DataFact]
    public async Task Reset_forgets_and_unknown_commands_are_named()
    {
        var output = await Talk("Hi\n/reset\n/help\n/rest\nBye");
        Assert.Equal(
            _model.Text!.Template.Encode([new(ChatRole.System, "Be kind."), new(ChatRole.User, "Bye")], true).Ids,
            _model.Prompts[1].Prompt.ToArray());
        Assert.Contains("unknown command '/rest'", output, StringComparison.Ordinal);
        Assert.Contains("(/reset forgets", output, StringComparison.Ordinal);
    }

    [DataFact]
    public async Task The_oldest_questions_go_when_the_context_is_full_and_the_person_is_told()
    {
        var output = await Talk(string.Join('\n', Enumerable.Range(0, 30).Select(i => $"question number {i}")));
        Assert.Equal(30, _model.Prompts.Count);
        Assert.All(_model.Prompts, request => Assert.True(request.Prompt.Length + 32 <= 256));
        // No more is forgotten than must be: a question with its answer is well below 70 tokens.
        Assert.All(_model.Prompts.Skip(15), request => Assert.True(request.Prompt.Length + 32 > 256 - 70));
        Assert.Contains("the oldest question and what was answered no longer fit into 256 tokens", output, StringComparison.Ordinal);
        Assert.Contains("question number 29", _model.Text!.Tokenizer.Decode(_model.Prompts[^1].Prompt.ToArray()), StringComparison.Ordinal);
        Assert.Contains("Be kind.", _model.Text!.Tokenizer.Decode(_model.Prompts[^1].Prompt.ToArray()), StringComparison.Ordinal);
    }

    [DataFact]
    public async Task A_question_longer_than_the_context_is_refused_and_forgotten()
    {
        var output = await Talk(new string('q', 400) + "\nHi");
        Assert.Contains("this is too long", output, StringComparison.Ordinal);
        Assert.Single(_model.Prompts);
    }

    [DataFact]
    public async Task Questions_stand_alone_and_examples_are_shown_When_asked_for()
    {
        var output = await Talk("Hi\nBye", start: new TerminalChatStart { IsSingleTurn = true, Examples = ["Say thanks.", "Count to 3."] });
        Assert.Equal(_model.Text!.Template.Encode([new(ChatRole.System, "Be kind."), new(ChatRole.User, "Bye")], true).Ids, _model.Prompts[1].Prompt.ToArray());
        Assert.Contains("Say thanks.  |  Count to 3.", output, StringComparison.Ordinal);
    }

    [DataFact]
    public async Task The_stop_key_ends_the_answer_and_not_the_conversation()
    {
        var output = await Talk("Hi\nBye", new PressedOnce());
        Assert.Contains("model> answer  (stopped)", output, StringComparison.Ordinal);
        Assert.Contains("model> answer 2", output, StringComparison.Ordinal);
    }

    [DataFact]
    public async Task Cancelling_at_the_prompt_is_how_one_leaves()
    {
        using var cancel = new CancellationTokenSource();
        await cancel.CancelAsync();
        var chat = new TerminalChat(new TerminalChatOptions(), new TextNode(), new NeverPressed());
        Assert.Equal(ExitCode.Ok, await chat.RunAsync(_model, new TerminalChatStart(), new StringReader("Hi"), new StringWriter(), cancel.Token));
    }

    private async Task<string> Talk(string script, IStopKey? stopKey = null, TerminalChatStart? start = null)
    {
        var output = new StringWriter();
        var options = new TerminalChatOptions { System = "Be kind.", MaxTokens = 32 };
        var chat = new TerminalChat(options, new TextNode(), stopKey ?? new NeverPressed());
        Assert.Equal(ExitCode.Ok, await chat.RunAsync(_model, start ?? new TerminalChatStart(), new StringReader(script), output, CancellationToken.None));
        return output.ToString();
    }

    private sealed class NeverPressed : IStopKey, IDisposable
    {
        public IDisposable Listen() => this;

        public bool WasPressed() => false;

        public void Dispose()
        {
        }
    }

    private sealed class PressedOnce : IStopKey, IDisposable
    {
        private bool _wasAsked;

        public IDisposable Listen() => this;

        public bool WasPressed()
        {
            var isFirst = !_wasAsked;
            _wasAsked = true;
            return isFirst;
        }

        public void Dispose()
        {
        }
    }

    /// <summary>Answers every request with "answer N".</summary>
    private sealed class EchoModel : IOpenModel, ITextGenerator
    {
        public List<GenerationRequest> Prompts { get; } = [];

        public string Family => "echo";

        public long Parameters => 1;

        public TextModel? Text { get; } = ChatMl();

        public ITextGenerator Generator => this;

        public ILanguageModel LanguageModel => throw new NotSupportedException();

        public int ContextLength => 256;

        public async IAsyncEnumerable<TokenEvent> Submit(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancel)
        {
            Prompts.Add(request);
            await Task.Yield();
            yield return new TokenEvent(5, -1, "answer ", null);
            yield return new TokenEvent(6, -1, $"{Prompts.Count}", FinishReason.Stop);
        }

        public IReadOnlyList<GeneratedText> Generate(IReadOnlyList<GenerationRequest> requests, CancellationToken cancel) =>
            throw new NotSupportedException();

        public void Dispose()
        {
        }

        private static TextModel? ChatMl()
        {
            if (TestData.Folder is null)
                return null;
            var node = new TextNode();
            var text = node.OpenFolder(TestData.PathOf("stories260K"));
            return text with { Template = node.Resolve<IChatTemplateFactory>("chatml").For(text.Tokenizer) };
        }
    }
}
