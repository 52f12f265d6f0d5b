using ColossalChat.Contracts;

namespace ColossalChat.Models.Folders;

/// <summary>Finds a folder's tokenizer among the formats that plugins offer.</summary>
internal static class FolderText
{
    /// <summary>Tokenizer and template; the node knows the tokenizer by its hash afterwards. Null when no format claims the folder.</summary>
    public static TextModel? Find(INodeContext context, string folder)
    {
        foreach (var name in context.NamesOf<ITokenizerFormat>())
        {
            var format = context.Resolve<ITokenizerFormat>(name);
            if (!format.CanOpen(folder))
                continue;
            var text = format.Open(folder);
            context.AddTokenizer(text.Tokenizer);
            return text;
        }

        return null;
    }

    /// <summary>Like <see cref="Find"/>, but a folder without a tokenizer is an error.</summary>
    public static TextModel Open(INodeContext context, string folder) =>
        Find(context, folder) ?? throw new UserErrorException(
            $"{folder} has no tokenizer that is understood here; formats: {string.Join(", ", context.NamesOf<ITokenizerFormat>())}. Add tokenizer.model, vocab.json with merges.txt, or tokenizer.json.",
            ExitCode.NotFound);
}
