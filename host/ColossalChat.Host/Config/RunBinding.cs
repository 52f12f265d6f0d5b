using ColossalChat.Host.Node;

namespace ColossalChat.Host.Config;

/// <summary>
/// What a run is bound to now. Its options are objects of plugins: whoever makes a role reads them here each time, and
/// keeps nothing of them, or a plugin that was exchanged would never be unloaded. Safe to use from several threads.
/// </summary>
/// <param name="bound">What the run begins with.</param>
internal sealed class RunBinding(BoundRun bound)
{
    private volatile BoundRun _current = bound;
    private volatile IReadOnlyDictionary<string, string> _swapped = new Dictionary<string, string>();
    private int _version;

    /// <summary>Settings, plan and plugins.</summary>
    public BoundRun Current => _current;

    /// <summary>Counts changes, so that who wrote the settings down knows whether they are still right.</summary>
    public int Version => Volatile.Read(ref _version);

    /// <summary>Folders that plugins are loaded from in place of those that the configuration names, by plugin.</summary>
    public IReadOnlyDictionary<string, string> Swapped => _swapped;

    /// <summary>Who holds what.</summary>
    public PluginUsers Users { get; } = new();

    /// <summary>Binds the run to something else.</summary>
    /// <param name="next">Settings of the plugins from now on.</param>
    /// <param name="swapped">See <see cref="Swapped"/>.</param>
    public void Change(BoundRun next, IReadOnlyDictionary<string, string> swapped)
    {
        (_current, _swapped) = (next, swapped);
        Interlocked.Increment(ref _version);
    }
}
