using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Peer links whose wait for others can be given up.</summary>
public abstract class PeerLinks : IPeerLinks
{
    /// <inheritdoc/>
    public IPeerGroup Join(RankPlace place, TimeSpan deadline) => Join(place, deadline, CancellationToken.None);

    /// <inheritdoc cref="IPeerLinks.Join"/>
    /// <param name="place">Who comes, and how many are expected.</param>
    /// <param name="deadline">Longest wait.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <exception cref="OperationCanceledException">It was cancelled before all had come.</exception>
    public abstract IPeerGroup Join(RankPlace place, TimeSpan deadline, CancellationToken cancel);

    /// <summary>The same links for whoever may be cancelled as a whole: then it waits for nobody any more.</summary>
    /// <param name="cancel">Ends its waits.</param>
    public IPeerLinks Until(CancellationToken cancel) => new Cancellable(this, cancel);

    private sealed class Cancellable(PeerLinks links, CancellationToken cancel) : IPeerLinks
    {
        public IPeerGroup Join(RankPlace place, TimeSpan deadline) => links.Join(place, deadline, cancel);
    }
}
