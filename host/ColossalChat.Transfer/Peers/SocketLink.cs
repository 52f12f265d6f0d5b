using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>The users' bytes to one rank and back.</summary>
internal sealed class SocketLink(RankPlace place, int peer, Wire wire, ControlLines control) : IPeerLink
{
    public int Peer => peer;

    public void Send(ReadOnlySpan<byte> bytes, TimeSpan deadline)
    {
        var wait = new Deadline(deadline);
        var done = 0;
        while (done < bytes.Length)
        {
            Check();
            var step = wire.Send(bytes[done..], wait.Milliseconds(SocketBytes.LongestWait), out var sent);
            done += sent;
            if (step == SocketStep.Closed)
                throw new IOException(control.WhyClosed(peer));
            if (step == SocketStep.Waited && wait.HasPassed)
                throw TooLate($"took {done} of {bytes.Length} bytes", deadline);
        }
    }

    public void Receive(Span<byte> bytes, TimeSpan deadline)
    {
        var wait = new Deadline(deadline);
        var done = 0;
        while (done < bytes.Length)
        {
            Check();
            var isLastLook = wait.HasPassed;
            var step = wire.Receive(bytes[done..], wait.Milliseconds(SocketBytes.LongestWait), out var received);
            done += received;
            if (step == SocketStep.Closed)
                throw new IOException(control.WhyClosed(peer));
            if (step == SocketStep.Waited && isLastLook)
                throw TooLate($"sent {done} of {bytes.Length} bytes", deadline);
        }
    }

    private void Check()
    {
        if (control.BrokenBy is { } reason)
            throw Places.Broken(place, reason);
    }

    private TimeoutException TooLate(string what, TimeSpan deadline) =>
        new($"Group '{place.Group}': rank {peer} {what} within {deadline} (seen from rank {place.Rank}).");
}
