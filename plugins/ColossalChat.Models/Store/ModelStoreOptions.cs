using ColossalChat.Contracts;

namespace ColossalChat.Models.Store;

/// <summary>The <c>models</c> section: any number of models by name.</summary>
public sealed record ModelStoreOptions : ICheckedOptions
{
    /// <summary>Models by the names that roles borrow them under.</summary>
    [RemainingKeys]
    public IReadOnlyDictionary<string, ModelSource> Models { get; init; } = new Dictionary<string, ModelSource>();

    /// <summary>What is wrong between models; each checks itself.</summary>
    public IEnumerable<string> Problems()
    {
        foreach (var (name, source) in Models.OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            if (source.SameAs.Length == 0)
                continue;
            if (!Models.TryGetValue(source.SameAs, out var other))
                yield return $"{name}.same-as is {source.SameAs}; models are: {string.Join(", ", Models.Keys.Order(StringComparer.Ordinal))}.";
            else if (other.SameAs.Length > 0)
                yield return $"{name}.same-as is {source.SameAs}, which is itself the same as {other.SameAs}; name {other.SameAs}.";
            else if (other.Adapter is null)
                yield return $"{name}.same-as is {source.SameAs}, which has no adapter: both would be the weights in training. Give {source.SameAs} an adapter, or {name} a path.";
        }
    }
}
