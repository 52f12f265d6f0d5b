using System.IO.Enumeration;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Lora;

/// <summary>Chooses the linear layers that get an adapter.</summary>
internal static class TargetPattern
{
    /// <summary>Stands for every linear layer of the blocks, as in PEFT.</summary>
    public const string AllLinear = "all-linear";

    /// <summary>True when a pattern is an ending of a name and not a pattern with wildcards.</summary>
    public static bool IsPlain(string pattern) => pattern != AllLinear && !pattern.AsSpan().ContainsAny('*', '?');

    /// <summary>The layers that match, in the model's order.</summary>
    /// <exception cref="UserErrorException">A pattern matches nothing, or a layer cannot take an adapter.</exception>
    public static IReadOnlyList<ILinearSite> Choose(ICausalModel model, IReadOnlyList<string> patterns)
    {
        var inBlocks = model.Blocks.SelectMany(block => block.Linears).ToArray();
        var sites = inBlocks.Concat(model.LanguageHead.Linears).ToArray();
        foreach (var pattern in patterns)
            if (!sites.Any(site => Matches(pattern, site, inBlocks)))
                throw new UserErrorException(
                    $"target-patterns: '{pattern}' matches no linear layer of this {model.Shape.Family} model; its layers are {Layers(sites)}.");
        var chosen = sites.Where(site => patterns.Any(pattern => Matches(pattern, site, inBlocks))).ToArray();
        foreach (var site in chosen)
            CheckFree(site, model);
        return chosen;
    }

    private static bool Matches(string pattern, ILinearSite site, ILinearSite[] inBlocks) => pattern switch
    {
        AllLinear => inBlocks.Contains(site),
        _ when IsPlain(pattern) => site.Name == pattern || site.Name.EndsWith("." + pattern, StringComparison.Ordinal),
        _ => FileSystemName.MatchesSimpleExpression(pattern, site.Name, ignoreCase: false),
    };

    private static void CheckFree(ILinearSite site, ICausalModel model)
    {
        if (site.Adapter is not null)
            throw new UserErrorException($"Layer '{site.Name}' has an adapter already; a model takes one at a time.");
        if (model.Embedding.Parameters.Contains(site.Weight))
            throw new UserErrorException(
                $"Layer '{site.Name}' shares its weight with the token embedding, so an adapter on it could not be merged; leave it out of target-patterns.");
    }

    /// <summary>Layer names with the block number as <c>*</c>, each once: a deep model has hundreds.</summary>
    private static string Layers(IEnumerable<ILinearSite> sites) => string.Join(
        ", ",
        sites.Select(site => string.Join('.', site.Name.Split('.').Select(part => part.All(char.IsAsciiDigit) ? "*" : part))).Distinct());
}
