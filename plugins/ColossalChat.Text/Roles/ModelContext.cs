using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>How many tokens a model folder's model can take.</summary>
internal static class ModelContext
{
    private static readonly string[] _names = ["max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length"];

    /// <summary>The wanted number, or the context of the folder's <c>config.json</c> where it is 0.</summary>
    /// <exception cref="UserErrorException">Neither says, or more is wanted than the model takes.</exception>
    public static int Resolve(int wanted, string folder)
    {
        var context = OfFolder(folder);
        if (wanted == 0)
            return context ?? throw new UserErrorException(
                $"config.json in {folder} does not say how long its context is ({_names[0]}). Set max-tokens.");
        return context is null || wanted <= context
            ? wanted
            : throw new UserErrorException($"max-tokens is {wanted}, but the model in {folder} takes {context} tokens. Set {context} or less.");
    }

    /// <summary>The context of the folder's <c>config.json</c>, or null.</summary>
    public static int? OfFolder(string folder)
    {
        var config = FolderSettings.Read(folder, "config.json");
        foreach (var name in _names)
            if (FolderSettings.Property(config, name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var context))
                return context;
        return null;
    }
}
