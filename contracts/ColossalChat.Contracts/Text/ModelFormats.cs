namespace ColossalChat.Contracts;

/// <summary>Opens model folders through whichever format understands them.</summary>
public static class ModelFormats
{
    /// <summary>Opens a folder with the first format, in name order, that can.</summary>
    /// <exception cref="UserErrorException">The folder does not exist, or no format understands it.</exception>
    public static IOpenModel OpenModel(this INodeContext node, string folder, ModelOpenOptions options)
    {
        if (!Directory.Exists(folder))
            throw new UserErrorException($"Model folder '{folder}' does not exist; give a folder with config.json and weights.", ExitCode.NotFound);
        var names = node.NamesOf<IModelFormat>();
        var format = names.Select(node.Resolve<IModelFormat>).FirstOrDefault(candidate => candidate.CanOpen(folder))
            ?? throw new UserErrorException($"No model format understands '{folder}'; tried: {string.Join(", ", names)}. It needs a config.json with a supported model_type.");
        return format.Open(folder, options);
    }
}
