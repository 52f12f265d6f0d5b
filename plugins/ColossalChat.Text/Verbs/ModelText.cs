using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Tokenizer and template of a model folder, for verbs that need no model.</summary>
internal static class ModelText
{
    /// <summary>Opens a folder's tokenizer, with another template where one is named.</summary>
    /// <exception cref="UserErrorException">The folder or template is not there, or no format reads the tokenizer.</exception>
    public static TextModel Open(INodeContext node, string folder, string? template)
    {
        if (!Directory.Exists(folder))
            throw new UserErrorException($"Model folder '{folder}' does not exist.", ExitCode.NotFound);
        var names = node.NamesOf<ITokenizerFormat>();
        var format = names.Select(node.Resolve<ITokenizerFormat>).FirstOrDefault(candidate => candidate.CanOpen(folder))
            ?? throw new UserErrorException($"{folder} has no tokenizer that is understood here; tried: {string.Join(", ", names)}.");
        var text = format.Open(folder);
        if (template is null)
            return text;
        var known = node.NamesOf<IChatTemplateFactory>();
        return known.Contains(template)
            ? text with { Template = node.Resolve<IChatTemplateFactory>(template).For(text.Tokenizer) }
            : throw new UserErrorException($"There is no chat template '{template}'; known: {string.Join(", ", known)}.", ExitCode.Usage);
    }
}
