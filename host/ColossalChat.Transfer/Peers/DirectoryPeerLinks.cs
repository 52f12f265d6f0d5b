using System.Net;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// Brings together processes that see the same directory. Each waiting rank hangs a small file there; the files go when
/// all have met, and those that a killed process left are recognised and replaced. Bytes travel over TCP; whoever cannot
/// read the directory cannot join. Safe to use from several threads.
/// </summary>
/// <param name="directory">Made when absent; best on a local disk.</param>
/// <param name="listenOn">This machine's address for the other ranks; null when all are on this machine.</param>
public sealed class DirectoryPeerLinks(string directory, IPAddress? listenOn = null) : PeerLinks
{
    /// <inheritdoc/>
    public override IPeerGroup Join(RankPlace place, TimeSpan deadline, CancellationToken cancel) =>
        SocketGroups.Meet(place, listenOn ?? IPAddress.Loopback, () => new DirectoryBoard(directory, place), identity: null, deadline, cancel);
}

/// <summary>Meets, and meets again as long as there is time when somebody gives up at the last moment.</summary>
internal static class SocketGroups
{
    public static IPeerGroup Meet(RankPlace place, IPAddress listenOn, Func<IMeetingBoard> makeBoard, TlsIdentity? identity, TimeSpan deadline, CancellationToken cancel)
    {
        Places.Check(place);
        if (place.Ranks == 1)
            return new SocketPeerGroup(place, [null]);
        var wait = new Deadline(deadline);
        while (true)
        {
            using var board = makeBoard();
            using var meeting = new SocketMeeting(place, board, listenOn, identity, wait, cancel);
            if (meeting.Meet() is { } group)
                return group;
            if (wait.HasPassed)
                throw Places.DidNotCome(place, meeting.Missing, deadline);
        }
    }
}
