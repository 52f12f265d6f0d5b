using System.Runtime.CompilerServices;
using ColossalChat.Contracts;

namespace ColossalChat.PluginHost;

/// <summary>
/// One version of a plugin that is not, or no longer, in use: a candidate before it is switched to, and the version that
/// it took the place of until it is known which of them stays.
/// </summary>
public sealed class PluginCandidate
{
    private LoadedPlugin? _plugin;

    internal PluginCandidate(LoadedPlugin plugin, bool isOwned)
    {
        _plugin = plugin;
        (Info, IsOwned, Context) = (plugin.Info, isOwned, plugin.Context);
    }

    /// <summary>Where it comes from.</summary>
    public PluginInfo Info { get; }

    /// <summary>What it offers; none once it is retired.</summary>
    public IReadOnlyList<PluginFactory> Factories => _plugin?.Factories ?? [];

    /// <summary>True when retiring it unloads it; false when others than this catalog use it too.</summary>
    public bool IsOwned { get; }

    private WeakReference[] Context { get; }

    internal LoadedPlugin Plugin => _plugin ?? throw new ObjectDisposedException($"{Info.Name} {Info.Version}");

    /// <summary>Loads a version beside the one in use; nothing is offered by it yet.</summary>
    /// <param name="name">Name of the plugin.</param>
    /// <param name="folder">A folder of that name, which nobody changes.</param>
    /// <param name="source">The folder that <paramref name="folder"/> is a copy of.</param>
    /// <param name="pin">SHA-256 that its dll must have, or null.</param>
    /// <exception cref="UserErrorException">It was refused; the message says why.</exception>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static PluginCandidate Load(string name, string folder, string source, string? pin)
    {
        try
        {
            var place = new PluginFolder(folder) { Source = source };
            if (place.Name != name)
                throw new ArgumentException($"The copy of {name} is named {place.Name}.", nameof(folder));
            return new PluginCandidate(LoadedPlugin.Load(place, place.Inspect(pin)), isOwned: true);
        }
        catch (PluginRefusedException refusal)
        {
            throw new UserErrorException($"{refusal.Reason}: {source}: {refusal.Message}", ExitCode.Invalid, refusal);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"{RefusalReason.CannotLoad}: {source}: {failure.Message}", ExitCode.Invalid, failure);
        }
    }

    /// <summary>
    /// Gives it up: its context is unloaded, and its memory comes free as soon as nobody holds anything of it.
    /// </summary>
    /// <returns>Watches over that.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public RetiredContext Retire()
    {
        if (IsOwned)
            _plugin?.Dispose();
        _plugin = null;
        return new RetiredContext(Info, IsOwned, Context);
    }
}

/// <summary>A version that was given up. Holds nothing of it.</summary>
/// <param name="Info">What it was.</param>
/// <param name="IsUnloaded">False when it stays in use elsewhere, such as by verbs of this program.</param>
/// <param name="Parts">Its load context and its main assembly; the context may be gone while a type of it lives on.</param>
public sealed record RetiredContext(PluginInfo Info, bool IsUnloaded, IReadOnlyList<WeakReference> Parts)
{
    /// <summary>True once nothing of it is left in memory.</summary>
    public bool IsGone => Parts.All(part => !part.IsAlive);

    /// <summary>Has the runtime look once for what is not in use.</summary>
    /// <returns><see cref="IsGone"/> after it.</returns>
    public bool Collect()
    {
        if (IsGone)
            return true;
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return IsGone;
    }
}
