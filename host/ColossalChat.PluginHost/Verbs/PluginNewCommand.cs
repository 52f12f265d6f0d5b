using ColossalChat.Contracts;

namespace ColossalChat.PluginHost.Verbs;

/// <summary>Settings of <see cref="PluginNewCommand"/>.</summary>
public sealed record PluginNewOptions
{
    /// <summary><c>loss</c> or <c>reward</c>.</summary>
    [CliArgument(0)]
    [CliHelp("loss or reward")]
    public required string Kind { get; init; }

    /// <summary>Its name as in the configuration (polite-reward) or as of the project (PoliteReward); each gives the other.</summary>
    [CliArgument(1)]
    [CliHelp("its name: polite-reward or PoliteReward; the configuration calls it polite-reward, the project PoliteReward")]
    public required string Name { get; init; }

    /// <summary>Folder to write the plugin's folder into.</summary>
    [CliHelp("folder to write the plugin's folder into")]
    public string Out { get; init; } = ".";
}

/// <summary>Writes the source of a small plugin that works, to be changed.</summary>
public sealed class PluginNewCommand : CliCommand<PluginNewOptions>
{
    /// <inheritdoc/>
    public override string Path => "plugin new";

    /// <inheritdoc/>
    public override string Summary => "write the source folder of a new plugin that builds";

    /// <inheritdoc/>
    protected override async Task<ExitCode> RunAsync(PluginNewOptions options, CliContext context, CancellationToken cancel)
    {
        var template = PluginTemplate.Find(options.Kind)
            ?? throw new UserErrorException($"Cannot write a plugin of kind '{options.Kind}'. {NearestName.Advice(options.Kind, PluginTemplate.Kinds, "kinds")}", ExitCode.Usage);
        var name = KebabCase.Of(options.Name);
        if (!KebabCase.IsKebab(name) || !char.IsAsciiLetter(name[0]))
            throw new UserErrorException(
                $"'{options.Name}' cannot be a plugin's name. Use words of letters and digits, beginning with a letter, such as polite-reward or PoliteReward.",
                ExitCode.Usage);

        var project = KebabCase.ToPascal(name);
        var folder = System.IO.Path.Combine(System.IO.Path.GetFullPath(options.Out), project);
        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
            throw new UserErrorException($"Folder '{folder}' is not empty; choose another name, or another folder with --out.", ExitCode.Usage);
        Directory.CreateDirectory(folder);
        foreach (var (file, text) in template.Files(project, name))
            await File.WriteAllTextAsync(System.IO.Path.Combine(folder, file), text, cancel);

        await context.Out.WriteLineAsync(folder);
        await context.Error.WriteLineAsync($"Next: {PluginTemplate.BuildCommand(folder, project)}");
        return ExitCode.Ok;
    }
}
