using ColossalChat.Contracts;

namespace ColossalChat.Chat;

/// <summary>Talks with a model folder in the terminal, or answers a script.</summary>
internal sealed class ChatCommand : CliCommand<ChatOptions>
{
    /// <inheritdoc/>
    public override string Path => "chat";

    /// <inheritdoc/>
    public override string Summary => "Talk with a model in the terminal";

    /// <inheritdoc/>
    protected override async Task<ExitCode> RunAsync(ChatOptions options, CliContext context, CancellationToken cancel)
    {
        var settings = new TerminalChatOptions
        {
            System = options.System,
            Temperature = options.Temperature,
            TopP = options.TopP,
            MaxTokens = options.MaxTokens,
            Seed = options.Seed,
            Device = options.Device,
        };
        if (settings.Problems().ToArray() is { Length: > 0 } problems)
            throw new UserErrorException(string.Join(' ', problems), ExitCode.Usage);
        if (options.Script is not null && !File.Exists(options.Script))
            throw new UserErrorException($"Script '{options.Script}' does not exist; give a text file of questions, one a line.", ExitCode.NotFound);
        using var model = context.Node.OpenModel(options.Model, new ModelOpenOptions { Precision = options.Precision, Device = options.Device });
        using var script = options.Script is null ? null : new StreamReader(options.Script);
        return await new TerminalChat(settings, context.Node, new CtrlCKey())
            .RunAsync(model, new TerminalChatStart { IsSingleTurn = options.SingleTurn }, script ?? Console.In, context.Out, cancel).ConfigureAwait(false);
    }
}
