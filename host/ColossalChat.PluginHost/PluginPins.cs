namespace ColossalChat.PluginHost;

/// <summary>What a run configuration says about plugins.</summary>
/// <param name="Folder">Plugin folder besides the host's; empty for none.</param>
/// <param name="Sha256">SHA-256 that a plugin's main dll must have, by plugin name.</param>
public sealed record PluginPins(string Folder, IReadOnlyDictionary<string, string> Sha256);

/// <summary>Reads them from a run configuration.</summary>
/// <param name="file">The configuration.</param>
/// <exception cref="Contracts.UserErrorException">The file cannot be read or something in it is wrong; the message lists all of it.</exception>
public delegate PluginPins PinReader(string file);
