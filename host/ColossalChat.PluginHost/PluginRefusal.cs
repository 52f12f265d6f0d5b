namespace ColossalChat.PluginHost;

/// <summary>A folder that was not taken as a plugin; the host lives on without it.</summary>
/// <param name="Folder">Full path; the pinned name when a pinned plugin is absent.</param>
/// <param name="Reason">One of <see cref="RefusalReason"/>.</param>
/// <param name="Message">What is wrong, with the next step.</param>
public sealed record PluginRefusal(string Folder, string Reason, string Message)
{
    /// <inheritdoc/>
    public override string ToString() => $"plugin refused ({Reason}): {Folder}: {Message}";
}

/// <summary>Why a plugin is refused. Scripts may rely on these words.</summary>
public static class RefusalReason
{
    /// <summary>A configured plugin folder does not exist.</summary>
    public const string FolderAbsent = "folder-absent";

    /// <summary>The folder holds no dll of its own name, or one whose assembly has another name.</summary>
    public const string Misnamed = "misnamed";

    /// <summary>The file is not a .NET assembly, or its types cannot be loaded.</summary>
    public const string CannotLoad = "cannot-load";

    /// <summary>Built against another major or a newer minor version of the contracts.</summary>
    public const string ContractVersion = "contract-version";

    /// <summary>The folder holds an assembly that the host brings itself.</summary>
    public const string ContractAssembly = "contract-assembly";

    /// <summary>The dll does not have the hash that the configuration pins.</summary>
    public const string PinMismatch = "pin-mismatch";

    /// <summary>The configuration pins a plugin that no folder holds.</summary>
    public const string PinnedAbsent = "pinned-absent";

    /// <summary>Another folder already brought a plugin of this name.</summary>
    public const string DuplicatePlugin = "duplicate-plugin";

    /// <summary>A factory name is already taken for its seam.</summary>
    public const string DuplicateFactory = "duplicate-factory";

    /// <summary>No public IPlugin class with a parameterless constructor.</summary>
    public const string NoPluginClass = "no-plugin-class";

    /// <summary>More than one IPlugin class.</summary>
    public const string SeveralPluginClasses = "several-plugin-classes";

    /// <summary>The plugin threw while registering.</summary>
    public const string RegistrationFailed = "registration-failed";

    /// <summary>An options type cannot be made with its parameterless constructor.</summary>
    public const string OptionsConstructor = "options-constructor";

    /// <summary>A factory was registered for a type that is no contract interface, or under a name that is not kebab case.</summary>
    public const string BadRegistration = "bad-registration";
}

/// <summary>Carries a refusal from where it is found to the catalog.</summary>
internal sealed class PluginRefusedException(string reason, string message, Exception? inner = null) : Exception(message, inner)
{
    public string Reason { get; } = reason;
}
