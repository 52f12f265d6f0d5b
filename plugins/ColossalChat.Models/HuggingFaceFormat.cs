using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Folders;
using static TorchSharp.torch;

namespace ColossalChat.Models;

/// <summary>Opens plain model folders in Hugging Face layout, of the families that plugins offer.</summary>
internal sealed class HuggingFaceFormat(INodeContext context) : IModelFormat
{
    /// <inheritdoc/>
    public bool CanOpen(string folder)
    {
        if (!File.Exists(Path.Combine(folder, "config.json")))
            return false;
        try
        {
            var found = ModelFolder.Read(folder);
            return !found.IsQuantised && context.NamesOf<IModelFamily>().Contains(found.ModelType);
        }
        catch (UserErrorException e)
        {
            context.Log.Debug($"hugging-face passes over {folder}: {e.Message}");
            return false;
        }
    }

    /// <inheritdoc/>
    public IOpenModel Open(string folder, ModelOpenOptions options)
    {
        var found = ModelFolder.Read(folder);
        found.CheckReadable(context);
        var device = Devices.Parse(options.Device);
        var precision = options.Precision is { } name ? Precisions.Parse(name)
            : options.Device == "cpu" ? ScalarType.Float32
            : found.SavedPrecision();
        var text = FolderText.Find(context, folder);
        return new OpenModel(found.LoadLanguageModel(context, precision, device, null), text);
    }
}
