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
        var formats = names.Select(name => (Name: name, Format: node.Resolve<IModelFormat>(name))).ToArray();
        if (formats.Select(candidate => candidate.Format).FirstOrDefault(format => format.CanOpen(folder)) is { } claims)
            return claims.Open(folder, options);

        // What a format says when it is made to try is the reason that a person needs: which file, which value, what is allowed.
        var reasons = new List<string>();
        foreach (var (name, format) in formats)
        {
            try
            {
                return format.Open(folder, options);
            }
            catch (UserErrorException error)
            {
                reasons.Add($"{name}: {error.Message}");
            }
        }

        throw new UserErrorException(
            $"No model format understands '{folder}'. {(reasons.Count == 0 ? "No plugin offers one." : string.Join(' ', reasons))}");
    }
}
