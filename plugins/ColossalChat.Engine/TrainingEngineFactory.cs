using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Engine;

/// <summary>Makes engines with one set of options.</summary>
/// <param name="options">Settings of every engine made.</param>
public sealed class TrainingEngineFactory(EngineOptions options) : ITrainingEngineFactory
{
    /// <inheritdoc/>
    public ITrainingEngine Create(TrainingTarget target, INodeContext context)
    {
        var place = context.Place;
        var settings = options.Threads > 0 || place.Ranks == 1
            ? options
            : options with { Threads = Math.Max(1, Environment.ProcessorCount / place.Ranks) };
        var folder = options.OffloadFolder.Length > 0
            ? options.OffloadFolder
            : Path.Combine(context.RunFolder ?? Path.GetTempPath(), "offload");
        // In a configuration the word none means that nothing was chosen.
        var sharding = context.Create(options.Sharding ?? new PluginChoice<IShardingStrategy>("none"));
        var collective = context.Create(options.Collective).Create(place, target.Body.Device, context);
        try
        {
            return new TrainingEngine(target, settings, sharding, collective, folder);
        }
        catch
        {
            collective.Dispose();
            throw;
        }
    }
}
