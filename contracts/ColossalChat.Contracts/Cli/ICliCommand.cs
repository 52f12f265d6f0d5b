namespace ColossalChat.Contracts;

/// <summary>A verb of the command line. The host turns options records into flags, parses, and prints errors.</summary>
public interface ICliCommand
{
    /// <summary>Words that call it, such as <c>model info</c>.</summary>
    string Path { get; }

    /// <summary>One line for the help page.</summary>
    string Summary { get; }

    /// <summary>
    /// A record with a parameterless constructor. Its init-only properties become <c>--kebab-case</c> flags, or positional
    /// arguments when marked with <see cref="CliArgumentAttribute"/>; <c>required</c> ones must be given.
    /// </summary>
    Type OptionsType { get; }

    /// <summary>Runs it.</summary>
    Task<ExitCode> RunAsync(object options, CliContext context, CancellationToken cancel);
}

/// <summary>A verb with typed options.</summary>
/// <typeparam name="TOptions">See <see cref="ICliCommand.OptionsType"/>.</typeparam>
public abstract class CliCommand<TOptions> : ICliCommand
    where TOptions : class
{
    /// <inheritdoc/>
    public abstract string Path { get; }

    /// <inheritdoc/>
    public abstract string Summary { get; }

    /// <inheritdoc/>
    public Type OptionsType => typeof(TOptions);

    /// <inheritdoc/>
    public Task<ExitCode> RunAsync(object options, CliContext context, CancellationToken cancel) =>
        RunAsync((TOptions)options, context, cancel);

    /// <summary>Runs it with its own options.</summary>
    protected abstract Task<ExitCode> RunAsync(TOptions options, CliContext context, CancellationToken cancel);
}

/// <summary>Marks a positional argument.</summary>
/// <param name="position">From 0.</param>
[AttributeUsage(AttributeTargets.Property)]
public sealed class CliArgumentAttribute(int position) : Attribute
{
    /// <summary>From 0.</summary>
    public int Position { get; } = position;
}

/// <summary>Help text of an option, and its short form.</summary>
/// <param name="text">One line.</param>
[AttributeUsage(AttributeTargets.Property)]
public sealed class CliHelpAttribute(string text) : Attribute
{
    /// <summary>One line.</summary>
    public string Text { get; } = text;
}

/// <summary>What a verb works with.</summary>
/// <param name="Node">The node's plugins, lanes and log.</param>
/// <param name="Out">Results; exactly one JSON document with <c>--json</c>.</param>
/// <param name="Error">Progress and remarks.</param>
/// <param name="Stages">Runs training stages in this process.</param>
public sealed record CliContext(INodeContext Node, TextWriter Out, TextWriter Error, IStageRunner Stages);

/// <summary>Runs training stages in this process, as <c>train</c> does.</summary>
public interface IStageRunner
{
    /// <summary>Runs one stage to its end.</summary>
    /// <param name="hocon">The run's configuration file content.</param>
    /// <param name="overrides"><c>key=value</c> settings on top of it.</param>
    /// <param name="cancel">Stops after the running step and saves a checkpoint.</param>
    Task<StageOutcome> RunAsync(string hocon, IReadOnlyList<string> overrides, CancellationToken cancel);
}

/// <summary>How a stage ended.</summary>
/// <param name="ExitCode">
/// Ok; Interrupted (stopped, after a checkpoint where there was something to save); Failed; or what a role, the data or
/// the machine did not allow: Usage, Invalid, NotFound or Resource.
/// </param>
/// <param name="RunFolder">Its run folder; empty when the run ended before it did anything, and left none.</param>
/// <param name="ModelFolders">Exported model folders by model name.</param>
/// <param name="Metrics">Last value of every metric.</param>
public sealed record StageOutcome(
    ExitCode ExitCode,
    string RunFolder,
    IReadOnlyDictionary<string, string> ModelFolders,
    IReadOnlyDictionary<string, double> Metrics);
