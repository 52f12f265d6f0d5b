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
            Load(blob, publication, cancel);
            s_loaded.AddOrUpdate(model.Body, publication);
        }

        (Epoch, Version) = (publication.Epoch, publication.Version);
        return isNewer;
    }

    private bool IsLoaded(WeightsPublication publication) =>
        s_loaded.TryGetValue(model.Body, out var loaded) && loaded.ContentHash == publication.ContentHash && loaded.Version == publication.Version;

    private void Load(BlobReference blob, WeightsPublication publication, CancellationToken cancel)
    {
        var slots = ModelWeights.Of(model).ToDictionary(slot => slot.Name);
        var isExact = true;
        var manifest = Read<WeightsManifest>(blob, cancel);
        foreach (var piece in manifest.Pieces)
        {
            var bytes = Fetch(piece.Blob, cancel);
            var offset = 0;
            foreach (var entry in piece.Parameters)
            {
                if (!slots.TryGetValue(entry.Name, out var slot))
                    throw new InvalidOperationException($"Weights {publication.Version} of {name} have {entry.Name}, which this node's model has not; configure models.{name} alike on all nodes.");
                isExact &= Set(slot, entry, bytes.AsSpan(offset, entry.Bytes));
                offset += entry.Bytes;
            }
        }

        // A model of another precision than the trainer's cannot have the same bytes.
        if (isExact && ModelWeights.HashOf(model, cancel) is var hash && hash != publication.ContentHash)
            throw new InvalidOperationException($"Weights {publication.Version} of {name} should have hash {publication.ContentHash} and have {hash}; do models.{name} begin from the same folder on all nodes?");
        CanaryPrompt.Require(model, manifest.Canary, publication, isExact, cancel);
    }

    private static bool Set(ParameterSlot slot, WeightsEntry entry, ReadOnlySpan<byte> bytes)
    {
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        var type = Enum.Parse<ScalarType>(entry.Type);
        var value = slot.Value.detach();
        var received = empty(slot.Shape.ToArray(), type);
        if (received.bytes.Length != bytes.Length)
            throw new InvalidOperationException($"{entry.Name} has {bytes.Length} bytes; {received.bytes.Length} were expected.");
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
