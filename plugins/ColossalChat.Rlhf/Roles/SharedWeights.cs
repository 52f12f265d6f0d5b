using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>
/// Publications for roles that borrow the trainer's own model: the bytes are there already, only the version is noted.
/// </summary>
internal static class SharedWeights
{
    /// <summary>The version to carry on with.</summary>
    /// <param name="publication">What was published.</param>
    /// <param name="model">The model this role uses; other models' publications are ignored.</param>
    /// <param name="current">Epoch and version so far; a publisher of a lower epoch was replaced and is ignored.</param>
    public static (long Epoch, long Version) Accept(WeightsPublication publication, string model, (long Epoch, long Version) current)
    {
        if (publication.Model != model || publication.Epoch < current.Epoch)
            return current;
        if (publication.Blob is not null)
        {
            throw new InvalidOperationException(
                $"Weights {publication.Version} of {model} come as a blob, but this role borrows the trainer's own model.");
        }

        return (publication.Epoch, publication.Version);
    }
}
