using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Cache;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Models;

/// <summary>A model that lets a test look on, or hold it up, whenever it is about to compute. Does not own the other.</summary>
internal sealed class WatchedModel(ICausalModel model) : ICausalModel
{
    /// <summary>Called on the computing thread before each forward pass, with the newest cache.</summary>
    public Action<KeyValueCache?>? BeforePass { get; set; }

    /// <summary>The newest cache.</summary>
    public KeyValueCache? Cache { get; private set; }

    public ModelShape Shape => model.Shape;

    public Device Device => model.Device;

    public ScalarType Precision => model.Precision;

    public IModelPart Embedding => model.Embedding;

    public IReadOnlyList<IModelBlock> Blocks => model.Blocks;

    public IOutputHead LanguageHead => model.LanguageHead;

    public IModelPart FinalNorm => model.FinalNorm;

    public Tensor Embed(Tensor tokenIds)
    {
        BeforePass?.Invoke(Cache);
        return model.Embed(tokenIds);
    }

    public Tensor Normalise(Tensor hidden) => model.Normalise(hidden);

    public IKeyValueCache NewCache(int rows, int tokens) => Cache = (KeyValueCache)model.NewCache(rows, tokens);

    public void Dispose()
    {
        // The watched model belongs to the test.
    }
}
