namespace ColossalChat.Cluster;

/// <summary>The most of everything that reading bytes accepts. What is left of the frame bounds every length besides.</summary>
internal static class WireLimits
{
    /// <summary>
    /// Bytes of a message between nodes, its head included: 256 KiB. Larger ones delay the heartbeats behind them, so they go
    /// through the blob lane.
    /// </summary>
    public const int MessageBytes = 256 * 1024;

    /// <summary>Bytes of a message that goes through the blob lane: 1 GiB.</summary>
    public const int ParcelBytes = 1024 * 1024 * 1024;

    /// <summary>Bytes of one piece of it: 16 MiB.</summary>
    public const int PieceBytes = 16 * 1024 * 1024;

    /// <summary>Bytes of a frame of remoting: room for a message and its envelope, four times over.</summary>
    public const int FrameBytes = 4 * MessageBytes;

    /// <summary>Lists within lists. The deepest type of today has four; a type that holds itself would have no end.</summary>
    public const int Depth = 8;

    /// <summary>Different actors that one message names.</summary>
    public const int ActorRefs = 4096;

    /// <summary>Bytes of an actor's path.</summary>
    public const int ActorPathBytes = 1024;

    /// <summary>Slashes in an actor's path: each names a parent, which takes more memory than its two bytes.</summary>
    public const int ActorPathSlashes = 32;

    /// <summary>Bytes of a name, such as a role's, a model's, a hash or a manifest.</summary>
    public const int NameBytes = 1024;
}
