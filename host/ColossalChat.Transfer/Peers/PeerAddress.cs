using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Peer links by the address that ranks are told.</summary>
public static class PeerAddress
{
    private const string Directory = "dir:";
    private const string Socket = "tcp";

    /// <summary>Opens <c>dir:PATH</c> or <c>tcp://HOST:PORT</c>.</summary>
    /// <param name="address">See above.</param>
    /// <param name="identity">For mutual TLS at <c>tcp://</c>; null for none. <c>dir:</c> stays on this machine and does without.</param>
    /// <exception cref="UserErrorException">The address has another form.</exception>
    public static PeerLinks Open(string address, TlsIdentity? identity = null)
    {
        if (address.StartsWith(Directory, StringComparison.Ordinal) && address.Length > Directory.Length)
            return new DirectoryPeerLinks(Path.GetFullPath(address[Directory.Length..]));
        if (Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme == Socket && uri.Host.Length > 0 && uri.Port is > 0 and <= 65535)
            return new SocketPeerLinks(uri.Host, uri.Port, identity: identity);
        throw new UserErrorException($"Ranks cannot meet at '{address}'; give dir:PATH, or tcp://HOST:PORT with rank 0's machine.");
    }
}
