using System.Runtime.CompilerServices;
using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

/// <summary>
/// Takes published weights over into a borrowed model. In the trainer's own process they are there already and only the
/// version is noted; elsewhere the bytes come through the lane and are checked against the publication's hash.
/// </summary>
internal sealed class WeightsReader(IBorrowedModel model, string name, INodeContext context)
{
    // Roles of one process that borrow the same model load it once.
    private static readonly ConditionalWeakTable<ICausalModel, WeightsPublication> s_loaded = [];

    // Models that a load left with some weights of one version and some of another, with the version that was to be loaded.
    private static readonly ConditionalWeakTable<ICausalModel, WeightsPublication> s_torn = [];

    /// <summary>Version of the weights that the model has; 0 before the first publication.</summary>
    public long Version { get; private set; }

    private long Epoch { get; set; }

    /// <summary>A model for a role: the trainer's own, or a copy where training goes on while the role computes.</summary>
    public static IBorrowedModel Borrow(string name, INodeContext context)
    {
        var models = context.Resolve<IModelStore>("models");
        return context.Staleness > 0 ? models.BorrowCopy(name) : models.Borrow(name);
    }

    /// <summary>
    /// Takes a publication over; one of another model, of a publisher that was replaced, or older than what is there changes
    /// nothing.
    /// </summary>
    /// <returns>True when the model has other weights than before, as far as their versions tell.</returns>
    /// <exception cref="InvalidOperationException">What arrived is not what was published.</exception>
    public bool Accept(WeightsPublication publication, CancellationToken cancel)
    {
        if (publication.Model != name || (publication.Epoch, publication.Version).CompareTo((Epoch, Version)) < 0)
            return false;
        var isNewer = publication.Version != Version;
        var isElsewhere = publication.Publisher != context.NodeName || !model.SharesWeightsWith(name);
        if (publication.Blob is { } blob && isElsewhere && !IsLoaded(publication))
        {
            Load(Read<WeightsManifest>(blob, cancel), publication, cancel);
            s_loaded.AddOrUpdate(model.Body, publication);
        }

        (Epoch, Version) = (publication.Epoch, publication.Version);
        return isNewer;
    }

    /// <summary>Refuses to compute with weights of two versions; a role that shares the model may have failed to load them.</summary>
    /// <exception cref="InvalidOperationException">The last load failed.</exception>
    public void RequireWhole()
    {
        if (s_torn.TryGetValue(model.Body, out var torn))
            throw new InvalidOperationException($"Weights {torn.Version} of {name} were not taken over whole, so the model may have some of them and some of older ones; it is of use again once a load succeeds.");
    }

    private bool IsLoaded(WeightsPublication publication) =>
        s_loaded.TryGetValue(model.Body, out var loaded) && loaded.ContentHash == publication.ContentHash && loaded.Version == publication.Version;

    // The bytes go straight into the model, for which there is no room twice: all that can be found wrong before is.
    private void Load(WeightsManifest manifest, WeightsPublication publication, CancellationToken cancel)
    {
        var slots = ModelWeights.Of(model).ToDictionary(slot => slot.Name);
        foreach (var entry in manifest.Pieces.SelectMany(piece => piece.Parameters))
            Check(entry, slots, publication);
        s_loaded.Remove(model.Body);
        s_torn.AddOrUpdate(model.Body, publication);
        var isExact = true;
        foreach (var piece in manifest.Pieces)
        {
            var bytes = Fetch(piece.Blob, cancel);
            var offset = 0;
            foreach (var entry in piece.Parameters)
            {
                isExact &= Set(slots[entry.Name], entry, bytes.AsSpan(offset, entry.Bytes));
                offset += entry.Bytes;
            }
        }

        // A model of another precision than the trainer's cannot have the same bytes.
        if (isExact && ModelWeights.HashOf(model, cancel) is var hash && hash != publication.ContentHash)
            throw new InvalidOperationException($"Weights {publication.Version} of {name} should have hash {publication.ContentHash} and have {hash}; do models.{name} begin from the same folder on all nodes?");
        CanaryPrompt.Require(model, manifest.Canary, publication, isExact, cancel);
        s_torn.Remove(model.Body);
    }

    private void Check(WeightsEntry entry, Dictionary<string, ParameterSlot> slots, WeightsPublication publication)
    {
        if (!slots.TryGetValue(entry.Name, out var slot))
            throw new InvalidOperationException($"Weights {publication.Version} of {name} have {entry.Name}, which this node's model has not; configure models.{name} alike on all nodes.");
        using var typed = empty(0, Enum.Parse<ScalarType>(entry.Type));
        var expected = slot.Shape.Aggregate(typed.ElementSize, (size, length) => size * length);
        if (entry.Bytes != expected)
            throw new InvalidOperationException($"Weights {publication.Version} of {name} have {entry.Bytes} bytes of {entry.Name}; {expected} were expected. Configure models.{name} alike on all nodes.");
    }

    private static bool Set(ParameterSlot slot, WeightsEntry entry, ReadOnlySpan<byte> bytes)
    {
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        var type = Enum.Parse<ScalarType>(entry.Type);
        var value = slot.Value.detach();
        var received = empty(slot.Shape.ToArray(), type);
        bytes.CopyTo(received.bytes);
        value.copy_(received);
        return value.dtype == type;
    }

    private T Read<T>(BlobReference blob, CancellationToken cancel) =>
        JsonSerializer.Deserialize<T>(Fetch(blob, cancel)) ?? throw new InvalidOperationException($"Blob {blob.Name} is empty.");

    private byte[] Fetch(BlobReference blob, CancellationToken cancel)
    {
        var bytes = GC.AllocateUninitializedArray<byte>(checked((int)blob.Bytes));
        context.Blobs.Fetch(blob, bytes, cancel);
        return bytes;
    }
}
