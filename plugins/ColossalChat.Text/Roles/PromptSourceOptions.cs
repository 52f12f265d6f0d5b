namespace ColossalChat.Text;

/// <summary>Settings of <c>prompt-source</c>.</summary>
public sealed record PromptSourceOptions : SplitDataOptions
{
    /// <summary>Longest prompt in tokens, template included; longer ones are left out and counted, as are those that leave the model no token for an answer. 1 or more; default 256.</summary>
    public int MaxPromptTokens { get; init; } = 256;

    /// <summary>
    /// Plain text only: the first so many words of each paragraph are the prompt, and shorter paragraphs are left out;
    /// 0 takes whole paragraphs. Default 0.
    /// </summary>
    public int BeginningWords { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<string> Problems()
    {
        foreach (var problem in base.Problems())
            yield return problem;
        if (MaxPromptTokens < 1)
            yield return $"max-prompt-tokens is {MaxPromptTokens}; it must be 1 or more.";
        if (BeginningWords < 0)
            yield return $"beginning-words is {BeginningWords}; it must be 0 (whole paragraphs) or more.";
    }
}
