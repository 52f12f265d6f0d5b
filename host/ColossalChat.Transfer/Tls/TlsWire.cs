using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace ColossalChat.Transfer;

/// <summary>We do not trust the other end.</summary>
internal sealed class PeerRefusedException(string message, Exception reason) : IOException(message, reason);

/// <summary>A connection on which both ends have shown a certificate of our authorities; what goes over it is encrypted.</summary>
internal sealed class TlsWire : Wire
{
    // TLS cuts into records of 16 KiB; some at once save calls.
    private const int MostAtOnce = 1 << 16;
    private readonly RecordStream _records;
    private readonly SslStream _tls;
    private readonly byte[] _plain = new byte[1 << 15];
    private int _start;
    private int _end;
    private int _encrypted;

    private TlsWire(Socket socket, RecordStream records, SslStream tls)
        : base(socket) => (_records, _tls) = (records, tls);

    /// <inheritdoc/>
    public override bool IsPlain => false;

    /// <inheritdoc/>
    public override bool HasBytes => _end > _start || _records.HasRecord;

    /// <summary>For whoever called.</summary>
    /// <param name="socket">Connected; owned, also when this fails.</param>
    /// <param name="host">The name that was called.</param>
    /// <param name="identity">Who we are, and whom we trust.</param>
    /// <param name="longest">Limit for the greeting.</param>
    /// <exception cref="IOException">The other end is gone or too slow, or one of the two refused the other; the message says why.</exception>
    public static TlsWire AsCaller(Socket socket, string host, TlsIdentity identity, TimeSpan longest) =>
        Greet(socket, longest, identity, tls => tls.AuthenticateAsClient(new SslClientAuthenticationOptions
        {
            TargetHost = host,
            ClientCertificateContext = identity.Context,
            CertificateChainPolicy = identity.Policy(),
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            AllowRenegotiation = false,
            AllowTlsResume = false,
        }));

    /// <summary>For whoever was called.</summary>
    /// <inheritdoc cref="AsCaller"/>
    public static TlsWire AsCalled(Socket socket, TlsIdentity identity, TimeSpan longest) =>
        Greet(socket, longest, identity, tls => tls.AuthenticateAsServer(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = identity.Context,
            ClientCertificateRequired = true,
            CertificateChainPolicy = identity.Policy(),
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            AllowRenegotiation = false,
            AllowTlsResume = false,
        }));

    /// <inheritdoc/>
    /// <remarks>Until all is with the system nothing counts as sent: whoever is told "waited" calls again with the same bytes.</remarks>
    public override SocketStep Send(ReadOnlySpan<byte> bytes, int milliseconds, out int sent)
    {
        sent = 0;
        if (!_records.HasOutgoing && !TryEncrypt(bytes))
            return SocketStep.Closed;
        var step = _records.Drain(milliseconds);
        if (step == SocketStep.Closed || _records.HasOutgoing)
            return step;
        (sent, _encrypted) = (_encrypted, 0);
        return SocketStep.Moved;
    }

    /// <inheritdoc/>
    public override SocketStep Receive(Span<byte> bytes, int milliseconds, out int received)
    {
        received = 0;
        while (_end == _start)
        {
            if (!_records.HasRecord)
            {
                var step = _records.Fill(milliseconds);
                if (step != SocketStep.Moved)
                    return step;
            }
            else if (!TryDecrypt())
            {
                return SocketStep.Closed;
            }
        }

        received = Math.Min(bytes.Length, _end - _start);
        _plain.AsSpan(_start, received).CopyTo(bytes);
        _start += received;
        return SocketStep.Moved;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool isDisposing)
    {
        // No farewell: both ends know from their frames what is complete.
        base.Dispose(isDisposing);
        _tls.Dispose();
    }

    private static TlsWire Greet(Socket socket, TimeSpan longest, TlsIdentity identity, Action<SslStream> greet)
    {
        var records = new RecordStream(socket) { Waits = new Deadline(longest) };
        string? why = null;
        SslStream? tls = null;
        try
        {
            tls = new SslStream(records, leaveInnerStreamOpen: false, (_, certificate, chain, _) => (why = identity.WhyRefused(certificate, chain)) is null);
            greet(tls);
            records.Waits = null;
            return new TlsWire(socket, records, tls);
        }
        catch (Exception error)
        {
            // What a stranger sends can fail in TLS in many ways; all mean the same.
            tls?.Dispose();
            socket.Dispose();
            throw why is null
                ? new IOException($"TLS did not come about, perhaps because the other end refused our certificate: {error.Message}", error)
                : new PeerRefusedException($"The other end's certificate is refused: {why}", error);
        }
    }

    private bool TryEncrypt(ReadOnlySpan<byte> bytes)
    {
        try
        {
            var piece = bytes[..Math.Min(bytes.Length, MostAtOnce)];
            _tls.Write(piece);
            _encrypted = piece.Length;
            return true;
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException or InvalidOperationException)
        {
            return false;
        }
    }

    private bool TryDecrypt()
    {
        try
        {
            (_start, _end) = (0, _tls.Read(_plain));
            return _end > 0;
        }
        catch (RecordIncompleteException)
        {
            // The record was TLS's own business; the next may have bytes.
            return true;
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException or InvalidOperationException)
        {
            return false;
        }
    }
}
