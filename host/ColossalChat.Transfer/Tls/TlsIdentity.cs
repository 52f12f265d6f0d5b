using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ColossalChat.Transfer;

/// <summary>
/// A node's certificate, and the authorities whose word counts: the machine's own list does not, and nothing is looked up
/// elsewhere. Safe to use from several threads.
/// </summary>
public sealed class TlsIdentity : IDisposable
{
    private readonly X509Certificate2Collection _between;
    private readonly X509Certificate2Collection _authorities;
    private readonly IReadOnlyList<string> _names;
    private readonly TimeProvider _time;

    internal TlsIdentity(
        X509Certificate2 certificate, X509Certificate2Collection between, X509Certificate2Collection authorities, IReadOnlyList<string> names, TimeProvider time)
    {
        (Certificate, _between, _authorities, _names, _time) = (certificate, between, authorities, names, time);
        Context = certificate.HasPrivateKey ? SslStreamCertificateContext.Create(certificate, between, offline: true) : null;
    }

    /// <summary>With its private key.</summary>
    public X509Certificate2 Certificate { get; }

    /// <summary>The certificate and those that lead to its authority, as it is shown to others.</summary>
    internal SslStreamCertificateContext? Context { get; }

    /// <summary>Told who was refused by ranks that wait for others; null for nobody.</summary>
    internal Action<string>? Remark { get; set; }

    /// <summary>The rules for other nodes' certificates: these authorities, no look-ups.</summary>
    public X509ChainPolicy Policy()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
            VerificationTimeIgnored = false,
            VerificationTime = _time.GetLocalNow().DateTime,
        };
        policy.CustomTrustStore.AddRange(_authorities);
        policy.ExtraStore.AddRange(_between);
        return policy;
    }

    /// <summary>Judges another node's certificate.</summary>
    /// <param name="certificate">What it showed; null for nothing.</param>
    /// <param name="shown">The chain that came with it; null for none.</param>
    /// <returns>Null when it is good; else why it is refused, one sentence.</returns>
    public string? WhyRefused(X509Certificate? certificate, X509Chain? shown)
    {
        if (certificate is null)
            return "no certificate was shown.";
        using var known = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        using var chain = new X509Chain { ChainPolicy = Policy() };
        foreach (var element in shown?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
            chain.ChainPolicy.ExtraStore.Add(element.Certificate);
        if (shown is not null)
            chain.ChainPolicy.ExtraStore.AddRange(shown.ChainPolicy.ExtraStore);
        try
        {
            if (chain.Build(known))
                return IsNamed(known) ? null : $"{known.Subject} comes from one of our authorities, but is none of the names that are let in: {string.Join(", ", _names)}.";
        }
        catch (CryptographicException error)
        {
            return $"{known.Subject} cannot be checked: {error.Message}";
        }

        var now = _time.GetUtcNow().UtcDateTime;
        if (known.NotAfter.ToUniversalTime() < now)
            return string.Create(CultureInfo.InvariantCulture, $"{known.Subject} expired on {known.NotAfter.ToUniversalTime():u}; now it is {now:u}.");
        if (known.NotBefore.ToUniversalTime() > now)
            return string.Create(CultureInfo.InvariantCulture, $"{known.Subject} is valid only from {known.NotBefore.ToUniversalTime():u}; now it is {now:u}. Are the clocks right?");
        var reasons = chain.ChainStatus.Select(status => status.Status).Distinct().ToArray();
        return reasons.Any(reason => reason is X509ChainStatusFlags.PartialChain or X509ChainStatusFlags.UntrustedRoot or X509ChainStatusFlags.NotSignatureValid)
            ? $"{known.Subject}, issued by {known.Issuer}, does not come from one of our authorities."
            : $"{known.Subject} is not valid: {string.Join(", ", reasons)}.";
    }

    // A certificate for many names is not one of ours because one of ours would fit.
    private bool IsNamed(X509Certificate2 known) => _names.Count == 0 || _names.Any(name =>
        TlsSettings.IsSubject(name) ? known.Subject == name : known.MatchesHostname(name, allowWildcards: false, allowCommonName: true));

    /// <summary>Calls somebody for a moment: true when he answers with a certificate that we trust.</summary>
    /// <param name="host">Name or address.</param>
    /// <param name="port">1 to 65535.</param>
    /// <param name="longest">Longest wait for the connection, and as long again for the greeting.</param>
    public bool Meets(string host, int port, TimeSpan longest)
    {
        try
        {
            if (SocketBytes.Connect(new IPEndPoint(LaneDial.Resolve(host), port), new Deadline(longest)) is not { } socket)
                return false;
            TlsWire.AsCaller(socket, host, this, longest).Dispose();
            return true;
        }
        catch (IOException)
        {
            return false; // A stranger, or somebody who speaks no TLS, or whose name is not known any more.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Certificate.Dispose();
        foreach (var certificate in _between.Concat(_authorities))
            certificate.Dispose();
    }
}
