using ColossalChat.Contracts;

namespace ColossalChat.PluginHost;

/// <summary>Takes what one plugin registers, while it registers and not later.</summary>
internal sealed class PluginRegistrar(PluginInfo plugin) : IPluginRegistry
{
    private readonly List<PluginFactory> _factories = [];
    private PluginRefusedException? _refusal;
    private bool _closed;

    public void Add<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
        where TSeam : class
        where TOptions : class, new() => Add(name, create, isShared: false);

    public void AddShared<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
        where TSeam : class
        where TOptions : class, new() => Add(name, create, isShared: true);

    /// <summary>Ends registration and gives its result.</summary>
    public IReadOnlyList<PluginFactory> Close()
    {
        _closed = true;
        // The plugin may have caught the exception; the refusal stands.
        return _refusal is null ? _factories : throw _refusal;
    }

    private void Add<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create, bool isShared)
        where TSeam : class
        where TOptions : class, new()
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(create);
        if (_closed)
            throw new InvalidOperationException($"{plugin.Name} registers '{name}' after its Register method ended.");
        var seam = typeof(TSeam);
        if (!seam.IsInterface || !PluginFolder.IsHostAssembly(seam.Assembly.GetName().Name + ".dll"))
            Refuse(RefusalReason.BadRegistration, $"'{name}' is registered for {seam.FullName}; a seam is an interface of the contract assemblies.");
        if (!KebabCase.IsKebab(name))
            Refuse(RefusalReason.BadRegistration, $"the {KebabCase.OfSeam(seam)} '{name}' must be named in lower case, words joined by hyphens.");
        if (_factories.Any(factory => factory.Seam == seam && factory.Name == name))
            Refuse(RefusalReason.DuplicateFactory, $"it registers the {KebabCase.OfSeam(seam)} '{name}' twice. Give one of them another name.");
        RequireDefaults<TOptions>(name);
        _factories.Add(new PluginFactory(
            name, seam, KebabCase.OfSeam(seam), typeof(TOptions), isShared, (options, context) => create((TOptions)options, context), plugin));
    }

    private void RequireDefaults<TOptions>(string name)
        where TOptions : class, new()
    {
        try
        {
            _ = new TOptions();
        }
        catch (Exception failure)
        {
            var cause = failure.InnerException ?? failure;
            Refuse(
                RefusalReason.OptionsConstructor,
                $"the options type {typeof(TOptions).Name} of '{name}' cannot be made without arguments: {cause.Message}",
                cause);
        }
    }

    private void Refuse(string reason, string message, Exception? cause = null)
    {
        _refusal ??= new PluginRefusedException(reason, message, cause);
        throw _refusal;
    }
}
