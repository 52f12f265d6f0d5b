namespace ColossalChat.PluginHost;

/// <summary>One key of an options record, for help pages.</summary>
/// <param name="Key">Kebab case; nested ones with dots, names of the user's own as <c>NAME</c>.</param>
/// <param name="Type">What may be written there.</param>
/// <param name="Default">Value when it is left out, as a user would write it.</param>
/// <param name="Summary">The property's documentation; empty without a documentation file beside the assembly.</param>
public sealed record OptionDescription(string Key, string Type, string Default, string Summary);
