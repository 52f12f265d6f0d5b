namespace ColossalChat.PluginHost;

/// <summary>A plugin that was loaded.</summary>
/// <param name="Name">Name of its folder and assembly.</param>
/// <param name="Version">Its informational version without build data.</param>
/// <param name="AssemblyPath">Full path of its main dll.</param>
/// <param name="Sha256">Hash of its main dll, 64 lower-case hexadecimal digits.</param>
/// <param name="Folder">Full path of its folder.</param>
public sealed record PluginInfo(string Name, string Version, string AssemblyPath, string Sha256, string Folder);
