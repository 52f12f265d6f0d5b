using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Folders;

namespace ColossalChat.Models.Store;

/// <summary>One entry of the <c>models</c> section.</summary>
public sealed record ModelSource : ICheckedOptions
{
    /// <summary>Model folder in Hugging Face layout. Required, unless <see cref="SameAs"/> is given.</summary>
    public string Path { get; init; } = "";

    /// <summary>Element type of the weights in memory: float32, bfloat16 or float16. Default float32.</summary>
    public string Precision { get; init; } = "float32";

    /// <summary>Where it computes: cpu or cuda:N; empty is the run's device. Default empty.</summary>
    public string Device { get; init; } = "";

    /// <summary>
    /// language, or value: one number a token, for a critic or reward model. A value model may start from a language
    /// model's folder; its head then starts near zero. Default language.
    /// </summary>
    public string Head { get; init; } = "language";

    /// <summary>Adapter whose parameters train while the folder's weights stay as they are; none by default.</summary>
    public PluginChoice<IModelAdapter>? Adapter { get; init; }

    /// <summary>Folder of a saved adapter to start from; needs <see cref="Adapter"/>. Empty starts a new one.</summary>
    public string AdapterPath { get; init; } = "";

    /// <summary>
    /// Name of another model whose weights this one shares, with that model's adapter off; the other must have an adapter.
    /// Excludes all other keys.
    /// </summary>
    public string SameAs { get; init; } = "";

    /// <summary>True draws the weights from the run's seed; the folder then needs no weight files. Default false.</summary>
    public bool Initialise { get; init; }

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (SameAs.Length > 0)
        {
            if (OtherKeys() is { Length: > 0 } others)
                yield return $"same-as is {SameAs}; it excludes all other keys of this model, and {string.Join(", ", others)} is set too. Remove {string.Join(", ", others)}; or, for weights of its own, remove same-as (same-as = \"\" on the command line).";
            yield break;
        }

        if (Path.Length == 0)
            yield return "path is missing; name a model folder, or give same-as.";
        if (Precisions.Find(Precision) is null)
            yield return $"precision is {Precision}; it must be {Precisions.Allowed}.";
        if (Device.Length > 0 && !Devices.IsName(Device))
            yield return $"device is {Device}; it must be cpu or cuda:N.";
        if (Head is not ("language" or "value"))
            yield return $"head is {Head}; it must be language or value.";
        if (AdapterPath.Length > 0 && Adapter is null)
            yield return $"adapter-path is {AdapterPath}, and there is no adapter; add one, such as adapter {{ use = lora }}.";
    }

    private string[] OtherKeys()
    {
        var initial = new ModelSource();
        (string Key, bool IsSet)[] keys =
        [
            ("path", Path != initial.Path), ("precision", Precision != initial.Precision), ("device", Device != initial.Device), ("head", Head != initial.Head),
            ("adapter", Adapter != initial.Adapter), ("adapter-path", AdapterPath != initial.AdapterPath), ("initialise", Initialise != initial.Initialise),
        ];
        return [.. keys.Where(key => key.IsSet).Select(key => key.Key)];
    }
}
