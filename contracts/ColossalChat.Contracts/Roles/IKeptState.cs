namespace ColossalChat.Contracts;

/// <summary>
/// Takes a role's state, or a copy of it that stays where it is: a role that computes in another process has that process
/// keep the copy, and hands over what tells of it in place of its bytes.
/// </summary>
public interface IStateTaker : IStateWriter
{
    /// <summary>
    /// Gives back what was taken last, whose memory may serve for the next copy, and lets go of all other memory. Whoever
    /// gets it disposes it or hands it over again.
    /// </summary>
    /// <returns>Null when the last state was written and not taken over.</returns>
    IKeptState? GiveBack();

    /// <summary>Takes a whole state over, in place of its being written. Whoever takes it disposes it or gives it back.</summary>
    /// <param name="state">Does not change until it is given back.</param>
    void Take(IKeptState state);
}

/// <summary>
/// A copy of a role's state that somebody keeps, such as another process. It can be read until it is disposed, also when its
/// keeper is gone. Safe to use from several threads.
/// </summary>
public interface IKeptState : IDisposable
{
    /// <summary>Its tensors, in the order in which they lie in the data file.</summary>
    IReadOnlyList<KeptTensor> Tensors { get; }

    /// <summary>Its JSON documents by name.</summary>
    IReadOnlyDictionary<string, string> Documents { get; }

    /// <summary>Gives a part of a tensor's bytes.</summary>
    /// <param name="tensor">One of <see cref="Tensors"/>.</param>
    /// <param name="start">First byte.</param>
    /// <param name="destination">Filled whole.</param>
    void Read(KeptTensor tensor, int start, Span<byte> destination);

    /// <summary>Has the keeper write the state's files and put them on the disk; waits for it.</summary>
    /// <param name="dataFile">Full path of the file that gets the bytes of all tensors, back to back.</param>
    /// <param name="indexFile">Full path of the file that gets <paramref name="index"/>.</param>
    /// <param name="index">Tells what lies where in the data file.</param>
    /// <returns>The data file; null when the keeper is gone, and whoever wants the files writes them himself.</returns>
    /// <exception cref="IOException">The keeper could not write; the message says who, which file and why.</exception>
    WrittenFile? Write(string dataFile, string indexFile, ReadOnlySpan<byte> index);
}

/// <summary>A tensor of a kept state.</summary>
/// <param name="Name">Unique within the state.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Sizes; none for a scalar.</param>
/// <param name="Bytes">Length of its data.</param>
public sealed record KeptTensor(string Name, ElementType Type, IReadOnlyList<long> Shape, int Bytes);

/// <summary>A file that is on the disk.</summary>
/// <param name="Bytes">Its size.</param>
/// <param name="Hash">XxHash128 of its content, 32 lower-case hexadecimal digits.</param>
public sealed record WrittenFile(long Bytes, string Hash);
