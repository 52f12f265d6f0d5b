namespace ColossalChat.Contracts;

/// <summary>
/// What a node gives to the plugins it hosts. Safe to use from several threads. A role may hold what it gets here only
/// for the role's own life: swapping a plugin rebuilds the roles that hold its objects.
/// </summary>
public interface INodeContext
{
    /// <summary>Name of this node within the run.</summary>
    string NodeName { get; }

    /// <summary>The run's seed; every <see cref="RandomKey"/> starts from it.</summary>
    ulong Seed { get; }

    /// <summary>Folder of the current run, or null outside a run.</summary>
    string? RunFolder { get; }

    /// <summary>The clock; tests replace it.</summary>
    TimeProvider Time { get; }

    /// <summary>Makes the object that a configuration section chose.</summary>
    /// <exception cref="UserErrorException">The name is not registered for this seam.</exception>
    TSeam Create<TSeam>(PluginChoice<TSeam> choice)
        where TSeam : class;

    /// <summary>
    /// The object registered under <paramref name="name"/>: the node's only one when it was added as shared, else a new
    /// one with default options.
    /// </summary>
    /// <exception cref="UserErrorException">The name is not registered; the message lists those that are.</exception>
    TSeam Resolve<TSeam>(string name)
        where TSeam : class;

    /// <summary>Names registered for a seam, sorted.</summary>
    IReadOnlyList<string> NamesOf<TSeam>()
        where TSeam : class;

    /// <summary>The tokenizer whose <see cref="ITokenizer.Hash"/> is <paramref name="hash"/>.</summary>
    /// <exception cref="UserErrorException">No model on this node brought that tokenizer.</exception>
    ITokenizer Tokenizer(string hash);

    /// <summary>Makes a tokenizer known by its hash; adding an equal one again is allowed.</summary>
    void AddTokenizer(ITokenizer tokenizer);

    /// <summary>Large blocks of bytes by name and hash.</summary>
    IBlobLane Blobs { get; }

    /// <summary>
    /// True when roles of other processes compute with trained weights: trainers then put them into <see cref="Blobs"/> when
    /// they publish.
    /// </summary>
    bool ReadersAreElsewhere => false;

    /// <summary>
    /// Updates by which rollouts may be older than the policy that learns from them (<c>flow.staleness</c>). Above 0 a role
    /// that computes with trained weights needs weights of its own: those of the trainer change under its hands.
    /// </summary>
    int Staleness => 0;

    /// <summary>Brings the ranks of a group together.</summary>
    IPeerLinks Peers { get; }

    /// <summary>Brings together ranks of groups that spread over processes or machines.</summary>
    /// <param name="address">
    /// <c>dir:PATH</c>, a directory that all see, for processes of one machine; <c>tcp://HOST:PORT</c>, where rank 0 of each
    /// group keeps a board, for any machines.
    /// </param>
    /// <exception cref="UserErrorException">The address has another form.</exception>
    /// <exception cref="NotSupportedException">This node has no way to other processes.</exception>
    IPeerLinks PeersAt(string address) => throw new NotSupportedException($"Node '{NodeName}' cannot meet ranks at {address}.");

    /// <summary>Which rank of which group the roles of this context are; alone unless the run has several trainer ranks.</summary>
    RankPlace Place => RankPlace.Alone;

    /// <summary>Where the run computes what is not placed elsewhere: <c>cpu</c> or <c>cuda:N</c>.</summary>
    string Device => "cpu";

    /// <summary>Turns on devices.</summary>
    IDeviceLeases Devices { get; }

    /// <summary>The node's log.</summary>
    INodeLog Log { get; }
}

/// <summary>
/// Turns on a device. libtorch uses all cores inside one operation, so roles that share a device compute one at a time.
/// </summary>
public interface IDeviceLeases
{
    /// <summary>Waits for the device and holds it until the result is disposed. Not reentrant.</summary>
    /// <param name="device">As in the configuration: <c>cpu</c>, <c>cuda:0</c>.</param>
    /// <param name="cancel">Ends the wait.</param>
    IDisposable Take(string device, CancellationToken cancel);

    /// <summary>
    /// Waits for the device together with others: members of one party hold it at the same time, because they wait for
    /// each other while they compute.
    /// </summary>
    /// <param name="device">As in the configuration.</param>
    /// <param name="party">Name of the party, such as a trained model's whose ranks share this process.</param>
    /// <param name="cancel">Ends the wait.</param>
    IDisposable Take(string device, string party, CancellationToken cancel) => Take(device, cancel);
}

/// <summary>The node's log; lines about a batch start with its <see cref="BatchId"/>.</summary>
public interface INodeLog
{
    /// <summary>Details for whoever looks for a fault.</summary>
    void Debug(string message);

    /// <summary>What a user wants to read.</summary>
    void Info(string message);

    /// <summary>Something odd that the run survives.</summary>
    void Warning(string message);

    /// <summary>Something failed.</summary>
    void Error(string message);
}
