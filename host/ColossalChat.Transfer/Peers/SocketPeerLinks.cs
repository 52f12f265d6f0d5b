using System.Net;
using System.Net.Sockets;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// Brings together processes on any machines. Rank 0 keeps a board at the given port while it waits; the others come to it
/// in any order and learn there how to reach each other. Bytes travel over TCP; with an identity encrypted, and only between ranks
/// that show certificates of its authorities; without one for networks of your own.
/// Safe to use from several threads.
/// </summary>
/// <param name="host">Name or address of rank 0's machine, such that all ranks reach it.</param>
/// <param name="port">Of the board, 1 to 65535. Groups may share it.</param>
/// <param name="token">Known to the members only; whoever says another one is turned away.</param>
/// <param name="identity">This process, and whom it trusts; null for no encryption. The caller disposes it after the groups.</param>
public sealed class SocketPeerLinks(string host, int port, string token = "", TlsIdentity? identity = null) : PeerLinks
{
    /// <inheritdoc/>
    public override IPeerGroup Join(RankPlace place, TimeSpan deadline, CancellationToken cancel)
    {
        if (port is < 1 or > 65535)
            throw new InvalidOperationException($"The board's port at {host} is {port}; it must be from 1 to 65535.");
        var address = Resolve();
        var listenOn = IPAddress.IsLoopback(address) ? address : address.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any;
        return SocketGroups.Meet(place, listenOn, () => new SocketBoard(place, new IPEndPoint(address, port), token, identity), identity, deadline, cancel);
    }

    private IPAddress Resolve()
    {
        if (IPAddress.TryParse(host, out var address))
            return address;
        try
        {
            var found = Dns.GetHostAddresses(host);
            return found.FirstOrDefault(one => one.AddressFamily == AddressFamily.InterNetwork) ?? found[0];
        }
        catch (SocketException error)
        {
            throw new IOException($"The ranks cannot meet at '{host}': {error.Message}. Give a name or address of rank 0's machine.", error);
        }
    }
}
