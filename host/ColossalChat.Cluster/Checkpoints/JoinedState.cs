using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// What all ranks of a group wrote, as one state: tensors of every rank, documents of rank 0, which are the same at all.
/// </summary>
/// <param name="role">Who reads; for messages.</param>
/// <param name="ranks">Rank 0 first; at least one.</param>
internal sealed class JoinedState(string role, IReadOnlyList<StateImage> ranks) : IStateReader
{
    private readonly Dictionary<string, StateImage> _owners = Owners(ranks);

    /// <inheritdoc/>
    public IReadOnlyList<string> TensorNames => [.. _owners.Keys];

    /// <inheritdoc/>
    public (ElementType Type, long[] Shape) Describe(string name) => OwnerOf(name).Describe(name);

    /// <inheritdoc/>
    public void ReadTensor(string name, Span<byte> destination) => OwnerOf(name).ReadTensor(name, destination);

    /// <inheritdoc/>
    public string ReadJson(string name) => First.ReadJson(name);

    private StateImage First => ranks.Count > 0
        ? ranks[0]
        : throw new UserErrorException($"The saved state has none of {role}; resume with the stage and roles that wrote it.");

    // Asking rank 0 for a tensor that nobody has gives the message that names what there is.
    private StateImage OwnerOf(string name) => _owners.GetValueOrDefault(name) ?? First;

    private static Dictionary<string, StateImage> Owners(IReadOnlyList<StateImage> ranks)
    {
        var owners = new Dictionary<string, StateImage>();
        foreach (var rank in ranks)
            foreach (var name in rank.TensorNames)
                owners.TryAdd(name, rank);
        return owners;
    }
}
