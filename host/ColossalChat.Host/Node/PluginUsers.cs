using System.Runtime.Loader;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Node;

/// <summary>
/// Knows which role of a run holds objects of which plugin, so that only those are made anew when it is exchanged. Safe to
/// use from several threads.
/// </summary>
internal sealed class PluginUsers
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, PluginHolder> _roles = [];
    private readonly HashSet<(string Plugin, Type Seam, string Name)> _names = [];

    /// <summary>What no role holds but the run itself, such as metric sinks.</summary>
    public PluginHolder Run => field ??= new PluginHolder(this);

    /// <summary>A role is about to be made; what its slot held before is gone.</summary>
    public PluginHolder Role(string slot)
    {
        lock (_lock)
            return _roles[slot] = new PluginHolder(this);
    }

    /// <summary>An object that a node shares.</summary>
    public PluginHolder Shared() => new(this);

    /// <summary>Slots of the roles that hold something of a plugin, be it through a shared object.</summary>
    public IReadOnlyList<string> RolesUsing(string plugin)
    {
        lock (_lock)
            return [.. _roles.Where(role => role.Value.Uses(plugin)).Select(role => role.Key).Order(StringComparer.Ordinal)];
    }

    /// <summary>What the run has made of a plugin's offers.</summary>
    public IReadOnlyList<(Type Seam, string Name)> NamesOf(string plugin)
    {
        lock (_lock)
            return [.. _names.Where(name => name.Plugin == plugin).Select(name => (name.Seam, name.Name))];
    }

    private void Note(PluginFactory factory)
    {
        lock (_lock)
            _names.Add((factory.Plugin.Name, factory.Seam, factory.Name));
    }

    /// <summary>One role, or one shared object: the plugins whose objects it was given.</summary>
    internal sealed class PluginHolder(PluginUsers users)
    {
        private readonly Lock _lock = new();
        private readonly HashSet<string> _plugins = [];
        private readonly HashSet<PluginHolder> _shared = [];

        public PluginUsers Users => users;

        /// <summary>It was given an object that this factory made.</summary>
        public void Took(PluginFactory factory)
        {
            lock (_lock)
                _plugins.Add(factory.Plugin.Name);
            users.Note(factory);
        }

        /// <summary>It was given a shared object, and all that this one holds.</summary>
        public void Took(PluginHolder shared)
        {
            lock (_lock)
                _shared.Add(shared);
        }

        /// <summary>It was given an object that somebody else had made.</summary>
        public void Took(object made)
        {
            if (PluginOf(made) is not { } plugin)
                return;
            lock (_lock)
                _plugins.Add(plugin);
        }

        public bool Uses(string plugin) => Uses(plugin, []);

        // Shared objects may hold each other in a circle.
        private bool Uses(string plugin, HashSet<PluginHolder> asked)
        {
            PluginHolder[] shared;
            lock (_lock)
            {
                if (_plugins.Contains(plugin))
                    return true;
                shared = [.. _shared];
            }

            return shared.Any(holder => asked.Add(holder) && holder.Uses(plugin, asked));
        }
    }

    /// <summary>The plugin whose class an object is; null for one of the host's. A plugin's context is named after it.</summary>
    public static string? PluginOf(object made) =>
        AssemblyLoadContext.GetLoadContext(made.GetType().Assembly) is { IsCollectible: true } context ? context.Name : null;
}
