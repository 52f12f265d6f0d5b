using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>
/// Finds the chat template that travels with a model folder: the one <c>colossalchat.json</c> names, else the one its
/// Jinja template is recognised as, else <c>plain</c>.
/// </summary>
internal sealed class TemplateFinder(INodeContext context)
{
    /// <summary>Template used for folders that have none.</summary>
    public const string Default = "plain";

    /// <summary>Joins a tokenizer with its folder's template and makes it known to the node.</summary>
    /// <exception cref="UserErrorException">The folder names a template that is not registered.</exception>
    public TextModel With(string folder, FolderSettings settings, ITokenizer tokenizer)
    {
        context.AddTokenizer(tokenizer);
        return new TextModel(tokenizer, Named(NameFor(folder, settings), folder).For(tokenizer));
    }

    private string NameFor(string folder, FolderSettings settings)
    {
        if (settings.TemplateName() is { } named)
            return named;
        if (settings.JinjaTemplate() is not { } jinja)
            return Default;
        if (Recognise(jinja) is { } known)
            return known;
        // Refusing would lock out base models whose template nobody wants; silence would hide that answers get worse.
        context.Log.Warning(
            $"The chat template of {folder} is of no known kind, so text is joined as it is (template plain). "
            + "Name another one in its colossalchat.json, such as { \"chat_template\": \"chatml\" }.");
        return Default;
    }

    private IChatTemplateFactory Named(string name, string folder)
    {
        var known = context.NamesOf<IChatTemplateFactory>();
        return known.Contains(name)
            ? context.Resolve<IChatTemplateFactory>(name)
            : throw new UserErrorException(
                $"chat_template in {Path.Combine(folder, "colossalchat.json")} is \"{name}\"; known templates: {string.Join(", ", known)}.");
    }

    private static string? Recognise(string jinja)
    {
        if (jinja.Contains("<|im_start|>", StringComparison.Ordinal))
            return "chatml";
        if (jinja.Contains("[INST]", StringComparison.Ordinal))
            return "llama2";
        return jinja.Contains("### Instruction:", StringComparison.Ordinal) ? "alpaca" : null;
    }
}
