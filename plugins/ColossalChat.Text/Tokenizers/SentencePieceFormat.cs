using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>LLaMA's <c>tokenizer.model</c>.</summary>
internal sealed class SentencePieceFormat(TemplateFinder templates) : ITokenizerFormat
{
    private const string FileName = "tokenizer.model";

    /// <inheritdoc/>
    public bool CanOpen(string folder) => Holds(folder);

    /// <inheritdoc/>
    public TextModel Open(string folder)
    {
        var path = Path.Combine(folder, FileName);
        var bytes = File.ReadAllBytes(path);
        var settings = FolderSettings.Of(folder);
        var parts = SentencePieceParts.Build(folder, SentencePieceFile.Parse(path, bytes), bytes, settings, more: []);
        return templates.With(folder, settings, new ModelTokenizer(parts));
    }

    /// <summary>True when the folder holds such a file (other tools use the same name for other kinds of files).</summary>
    public static bool Holds(string folder)
    {
        var file = Path.Combine(folder, FileName);
        return File.Exists(file) && SentencePieceFile.LooksLikeOne(file);
    }
}
