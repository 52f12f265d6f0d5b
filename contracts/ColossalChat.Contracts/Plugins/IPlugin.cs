namespace ColossalChat.Contracts;

/// <summary>
/// The one entry class of a plugin assembly: public, with a parameterless constructor. A plugin is a folder named like
/// its assembly; the host creates this class once in a load context of its own.
/// </summary>
public interface IPlugin
{
    /// <summary>Adds this plugin's factories. Must not start threads, open files or touch tensors.</summary>
    void Register(IPluginRegistry registry);
}

/// <summary>Where a plugin names what it offers.</summary>
public interface IPluginRegistry
{
    /// <summary>Adds a factory that makes a new object at each use.</summary>
    /// <typeparam name="TSeam">A contract interface, such as <see cref="IScoringRole"/>.</typeparam>
    /// <typeparam name="TOptions">
    /// A record with a parameterless constructor and init-only properties, bound from the configuration section that
    /// names this factory. Implement <see cref="ICheckedOptions"/> to check values.
    /// </typeparam>
    /// <param name="name">Lower case, words joined by hyphens; unique for its seam over all plugins.</param>
    /// <param name="create">Called with the bound and checked options.</param>
    void Add<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
        where TSeam : class
        where TOptions : class, new();

    /// <summary>Like <see cref="Add{TSeam,TOptions}"/>, for an object that a node has once and everybody shares.</summary>
    void AddShared<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
        where TSeam : class
        where TOptions : class, new();
}

/// <summary>Options of a factory that needs none.</summary>
public sealed record NoOptions;
