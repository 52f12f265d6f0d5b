namespace ColossalChat.Contracts;

/// <summary>How to open a model.</summary>
public sealed record ModelOpenOptions
{
    /// <summary><c>float32</c>, <c>bfloat16</c> or <c>float16</c>; null takes float32 on a CPU.</summary>
    public string? Precision { get; init; }

    /// <summary><c>cpu</c> or <c>cuda:N</c>.</summary>
    public string Device { get; init; } = "cpu";
}

/// <summary>
/// Opens model folders of one kind for use. The host asks every format in name order; the first that can open a folder
/// does.
/// </summary>
public interface IModelFormat
{
    /// <summary>True when this format understands the folder.</summary>
    bool CanOpen(string folder);

    /// <summary>Opens the folder.</summary>
    /// <exception cref="UserErrorException">A tensor is missing, extra or misshapen, or a file is broken; the message names it.</exception>
    IOpenModel Open(string folder, ModelOpenOptions options);
}

/// <summary>A model ready to write and to judge text.</summary>
public interface IOpenModel : IDisposable
{
    /// <summary>Family, such as <c>llama</c>.</summary>
    string Family { get; }

    /// <summary>Number of parameters.</summary>
    long Parameters { get; }

    /// <summary>Tokenizer and chat template; null when the folder has no tokenizer files.</summary>
    TextModel? Text { get; }

    /// <summary>Writes text.</summary>
    ITextGenerator Generator { get; }

    /// <summary>Judges text.</summary>
    ILanguageModel LanguageModel { get; }
}

/// <summary>
/// The <c>models</c> section seen from outside the tensors. Shared: <c>Resolve&lt;IModelCatalog&gt;("models")</c>.
/// </summary>
public interface IModelCatalog
{
    /// <summary>Configured model names.</summary>
    IReadOnlyList<string> Names { get; }

    /// <summary>The model's folder; of the model it is <c>same-as</c>, where that is given.</summary>
    string FolderOf(string name);

    /// <summary>Tokenizer and chat template of the model's folder.</summary>
    TextModel TextOf(string name);
}
