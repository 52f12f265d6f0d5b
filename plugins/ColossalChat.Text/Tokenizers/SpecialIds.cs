using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Special tokens of a folder, settled from vocabulary and settings.</summary>
/// <param name="BosId">Id before every sequence, or null.</param>
/// <param name="EosIds">Ids that end an answer.</param>
/// <param name="Tokens">All special tokens by their text.</param>
internal sealed record SpecialIds(int? BosId, IReadOnlyList<int> EosIds, IReadOnlyDictionary<string, int> Tokens)
{
    /// <summary>Settles them.</summary>
    /// <param name="folder">For error messages.</param>
    /// <param name="settings">What the folder's JSON files say.</param>
    /// <param name="idOf">Id of a token's text, or null.</param>
    /// <param name="textOf">Text of an id, or null.</param>
    /// <param name="own">What the vocabulary file itself says; used where the settings are silent.</param>
    /// <param name="addsBos">Whether a sequence begins with BOS where the settings are silent.</param>
    public static SpecialIds Settle(
        string folder,
        FolderSettings settings,
        Func<string, int?> idOf,
        Func<int, string?> textOf,
        SpecialIds own,
        bool addsBos)
    {
        var tokens = new Dictionary<string, int>(own.Tokens, StringComparer.Ordinal);
        foreach (var added in settings.Added.Where(token => token.IsSpecial))
            tokens[added.Text] = added.Id;
        foreach (var text in settings.SpecialTexts())
            if (idOf(text) is { } id)
                tokens[text] = id;

        int? Named(string name) => settings.SpecialText(name) is { } text ? idOf(text) : null;
        var bos = settings.BosId ?? Named("bos_token") ?? own.BosId;
        var eos = settings.EosIds.Concat(Named("eos_token") is { } named ? [named] : Array.Empty<int>()).Distinct().ToArray();
        if (eos.Length == 0)
            eos = [.. own.EosIds];
        if (eos.Length == 0)
            throw new UserErrorException(
                $"The tokenizer in {folder} names no token that ends an answer. Add \"eos_token_id\" to its config.json.");

        foreach (var id in bos is { } first ? eos.Prepend(first) : eos)
            tokens.TryAdd(
                textOf(id) ?? throw new UserErrorException(
                    $"config.json or generation_config.json in {folder} names token id {id}, which the tokenizer does not have."),
                id);
        return new SpecialIds((settings.AddsBos ?? addsBos) ? bos : null, eos, tokens);
    }
}
