using System.Reflection;
using System.Runtime.Loader;
using System.Security;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using McMaster.NETCore.Plugins;
using TorchSharp;

namespace ColossalChat.PluginHost;

/// <summary>One plugin in a load context of its own; disposing lets the context be collected.</summary>
internal sealed class LoadedPlugin : IDisposable
{
    private static readonly Type[] s_shared = [typeof(IPlugin), typeof(ICausalModel), typeof(torch)];
    private readonly PluginLoader _loader;

    private LoadedPlugin(PluginLoader loader, PluginInfo info, IReadOnlyList<PluginFactory> factories, Assembly assembly)
    {
        (_loader, Info, Factories) = (loader, info, factories);
        Context = [new WeakReference(AssemblyLoadContext.GetLoadContext(assembly)), new WeakReference(assembly)];
    }

    /// <summary>Tell when nothing of it is in memory any more.</summary>
    public WeakReference[] Context { get; }

    public PluginInfo Info { get; }

    public IReadOnlyList<PluginFactory> Factories { get; }

    public static LoadedPlugin Load(PluginFolder folder, string sha256)
    {
        // Lazy: only the shared assemblies themselves come from the host, not what they refer to. A plugin's own copy of
        // a library (SkiaSharp, which TorchSharp refers to as well) then finds its native files beside it.
        var loader = PluginLoader.CreateFromAssemblyFile(
            folder.AssemblyPath, isUnloadable: true, s_shared, config => config.IsLazyLoaded = true);
        try
        {
            var assembly = LoadAssembly(loader, folder);
            var info = new PluginInfo(folder.Name, VersionOf(assembly), folder.AssemblyPath, sha256, folder.Source);
            return new LoadedPlugin(loader, info, Register(EntryOf(assembly, folder), info), assembly);
        }
        catch
        {
            loader.Dispose();
            throw;
        }
    }

    public void Dispose() => _loader.Dispose();

    private static Assembly LoadAssembly(PluginLoader loader, PluginFolder folder)
    {
        try
        {
            return loader.LoadDefaultAssembly();
        }
        catch (Exception failure) when (failure is IOException or BadImageFormatException)
        {
            throw new PluginRefusedException(RefusalReason.CannotLoad, $"{folder.Name}.dll cannot be loaded: {failure.Message}", failure);
        }
    }

    private static Type EntryOf(Assembly assembly, PluginFolder folder)
    {
        Type[] entries;
        try
        {
            entries = [.. assembly.GetTypes().Where(type => type is { IsClass: true, IsAbstract: false } && typeof(IPlugin).IsAssignableFrom(type))];
        }
        catch (ReflectionTypeLoadException failure)
        {
            var cause = failure.LoaderExceptions.FirstOrDefault(inner => inner is not null) ?? failure;
            throw new PluginRefusedException(
                RefusalReason.CannotLoad,
                $"the types of {folder.Name}.dll cannot be loaded: {cause.Message} Rebuild it against this host's sdk folder, and copy all of its output.",
                failure);
        }

        if (entries.Length > 1)
            throw new PluginRefusedException(
                RefusalReason.SeveralPluginClasses,
                $"it has {entries.Length} IPlugin classes ({string.Join(", ", entries.Select(type => type.FullName).Order(StringComparer.Ordinal))}); keep one, which registers everything.");
        if (entries is not [{ IsPublic: true } entry] || entry.GetConstructor(Type.EmptyTypes) is null)
            throw new PluginRefusedException(
                RefusalReason.NoPluginClass,
                $"it needs exactly one public class that implements IPlugin and has a public constructor without parameters{Found(entries)}.");
        return entry;
    }

    private static string Found(Type[] entries) => entries is [var entry] ? $"; {entry.FullName} is not such a class" : "";

    private static IReadOnlyList<PluginFactory> Register(Type entry, PluginInfo info)
    {
        var registrar = new PluginRegistrar(info);
        try
        {
            ((IPlugin)Activator.CreateInstance(entry)!).Register(registrar);
        }
        catch (VerificationException failure)
        {
            // Only a plugin that was built against other contracts can get past the compiler's check of this.
            throw new PluginRefusedException(
                RefusalReason.OptionsConstructor,
                $"an options type has no public constructor without parameters: {failure.Message} Build it against this host's sdk folder.",
                failure);
        }
        catch (Exception failure) when (failure is not PluginRefusedException)
        {
            // Whatever a plugin throws here is its own fault and must not take the host down.
            var cause = failure is TargetInvocationException { InnerException: { } inner } ? inner : failure;
            throw new PluginRefusedException(
                RefusalReason.RegistrationFailed,
                $"it threw {cause.GetType().Name} while registering: {cause.Message} Ask its author, or remove the folder.",
                cause);
        }

        return registrar.Close();
    }

    private static string VersionOf(Assembly assembly)
    {
        var informational = assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        return informational?.Split('+')[0] ?? assembly.GetName().Version?.ToString() ?? "0.0.0";
    }
}
