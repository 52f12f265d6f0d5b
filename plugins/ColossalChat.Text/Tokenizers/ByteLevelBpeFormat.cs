using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>GPT-2's pair of files, <c>vocab.json</c> and <c>merges.txt</c>.</summary>
internal sealed class ByteLevelBpeFormat(TemplateFinder templates) : ITokenizerFormat
{
    /// <inheritdoc/>
    public bool CanOpen(string folder) =>
        File.Exists(Path.Combine(folder, "vocab.json"))
        && File.Exists(Path.Combine(folder, "merges.txt"))
        && !SentencePieceFormat.Holds(folder)
        // tokenizer.json says how text is cut into words; the pair of files does not.
        && !File.Exists(Path.Combine(folder, "tokenizer.json"));

    /// <inheritdoc/>
    public TextModel Open(string folder)
    {
        var file = Path.Combine(folder, "vocab.json");
        var settings = FolderSettings.Of(folder);
        var vocabulary = new ByteLevelVocabulary
        {
            Ids = IdsOf(file, FolderSettings.Read(folder, "vocab.json") ?? default),
            Merges = [.. File.ReadLines(Path.Combine(folder, "merges.txt")).Where((line, i) => line.Length > 0 && !(i == 0 && line.StartsWith("#version", StringComparison.Ordinal)))],
            Words = ByteLevelParts.Gpt2Words,
        };
        return templates.With(folder, settings, new ModelTokenizer(ByteLevelParts.Build(folder, vocabulary, settings)));
    }

    /// <summary>Reads an object of tokens and ids.</summary>
    /// <exception cref="UserErrorException">It is something else.</exception>
    public static Dictionary<string, int> IdsOf(string file, JsonElement vocabulary)
    {
        if (vocabulary.ValueKind != JsonValueKind.Object)
            throw new UserErrorException($"The vocabulary in {file} is not a JSON object of tokens and ids.");
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var entry in vocabulary.EnumerateObject())
            ids[entry.Name] = entry.Value.ValueKind == JsonValueKind.Number && entry.Value.TryGetInt32(out var id) && id >= 0
                ? id
                : throw new UserErrorException($"Token \"{entry.Name}\" in {file} has id {entry.Value}; ids are whole numbers from 0.");
        return ids.Count > 0 ? ids : throw new UserErrorException($"The vocabulary in {file} is empty.");
    }
}
