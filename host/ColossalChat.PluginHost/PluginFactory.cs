using ColossalChat.Contracts;

namespace ColossalChat.PluginHost;

/// <summary>One thing a plugin offers.</summary>
/// <param name="Name">What the configuration calls it; unique for its seam.</param>
/// <param name="Seam">The contract interface it fills.</param>
/// <param name="Kind">The seam as users write it, such as <c>policy-loss</c>.</param>
/// <param name="OptionsType">Record that <see cref="OptionsBinder"/> binds for it.</param>
/// <param name="IsShared">True when a node makes one object for everybody.</param>
/// <param name="Create">Makes the object from options of <paramref name="OptionsType"/>.</param>
/// <param name="Plugin">Where it comes from.</param>
public sealed record PluginFactory(
    string Name,
    Type Seam,
    string Kind,
    Type OptionsType,
    bool IsShared,
    Func<object, INodeContext, object> Create,
    PluginInfo Plugin);
