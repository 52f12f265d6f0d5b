using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Files with which a node shows who it is, and checks who others are: mutual TLS between the nodes of a run.</summary>
public sealed record TlsSettings
{
    /// <summary>This node's certificate: PEM (others that lead to the authority may follow in it), or PFX with its key.</summary>
    public string CertificateFile { get; init; } = "";

    /// <summary>The certificate's private key, PEM. Empty: it is in the certificate's file.</summary>
    public string KeyFile { get; init; } = "";

    /// <summary>Password of the key or the PFX; empty for none.</summary>
    public string Password { get; init; } = "";

    /// <summary>PEM with the certificates of the authorities whose word counts, and nobody else's.</summary>
    public string AuthoritiesFile { get; init; } = "";

    /// <summary>
    /// Whom of those that the authorities have signed we let in: host names or addresses as their certificates have them, or whole
    /// subjects such as <c>CN=node1, O=Us</c>. Empty for all.
    /// </summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>Everything that is wrong, one sentence each; empty when nodes with these files can talk to each other now.</summary>
    public IEnumerable<string> Problems() => Inspect().Problems;

    /// <summary>Reads the files.</summary>
    /// <param name="remark">Told who was refused where nobody else tells it; null for nobody.</param>
    /// <exception cref="UserErrorException">Something is wrong; the message has all problems.</exception>
    public TlsIdentity Load(Action<string>? remark = null)
    {
        var (identity, problems) = Read(TimeProvider.System);
        if (identity is not null && problems.Count == 0)
        {
            identity.Remark = remark;
            return identity;
        }

        identity?.Dispose();
        throw new UserErrorException(string.Join(' ', problems));
    }

    /// <summary>What <c>doctor</c> shows.</summary>
    /// <param name="time">The clock; null for the system's.</param>
    public TlsFacts Inspect(TimeProvider? time = null)
    {
        var (identity, problems) = Read(time ?? TimeProvider.System);
        using (identity)
        {
            return identity is null
                ? new TlsFacts("", null, null, false, false, problems)
                : new TlsFacts(identity.Certificate.Subject, identity.Certificate.NotBefore.ToUniversalTime(), identity.Certificate.NotAfter.ToUniversalTime(),
                    identity.Certificate.HasPrivateKey, identity.WhyRefused(identity.Certificate, null) is null, problems);
        }
    }

    /// <summary>All but the password.</summary>
    private bool PrintMembers(StringBuilder text)
    {
        text.Append("Names = ").Append(string.Join(' ', Names)).Append(", CertificateFile = ").Append(CertificateFile).Append(", KeyFile = ").Append(KeyFile)
            .Append(", Password = ").Append(Password.Length > 0 ? "(set)" : "").Append(", AuthoritiesFile = ").Append(AuthoritiesFile);
        return true;
    }

    internal static bool IsSubject(string name) => name.Contains('=', StringComparison.Ordinal);

    private (TlsIdentity? Identity, IReadOnlyList<string> Problems) Read(TimeProvider time)
    {
        var problems = Names.Where(name => !IsSubject(name) && Uri.CheckHostName(name) == UriHostNameType.Unknown)
            .Select(name => $"The TLS name '{name}' is neither a host name, an address nor a subject such as CN=node1.").ToList();
        if (problems.Count > 0)
            return (null, problems);
        var own = Attempt($"certificate file '{CertificateFile}'", ReadOwn, problems);
        var authorities = Attempt($"authorities file '{AuthoritiesFile}'", ReadAuthorities, problems);
        if (own is null || authorities is null)
        {
            Release(own);
            Release(authorities);
            return (null, problems);
        }

        var identity = new TlsIdentity(own[0], [.. own.Skip(1)], authorities, Names, time);
        if (!identity.Certificate.HasPrivateKey)
            problems.Add($"The certificate in '{CertificateFile}' has no private key; give its key file.");
        else if (identity.WhyRefused(identity.Certificate, null) is { } why)
            problems.Add($"The other nodes would refuse the certificate in '{CertificateFile}': {why}");
        return (identity, problems);
    }

    private static void Release(X509Certificate2Collection? certificates)
    {
        foreach (var certificate in certificates ?? [])
            certificate.Dispose();
    }

    private static X509Certificate2Collection? Attempt(string what, Func<X509Certificate2Collection> read, List<string> problems)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            problems.Add($"The TLS {what} cannot be used: {error.Message.TrimEnd('.')}.");
            return null;
        }
    }

    // The node's own certificate first.
    private X509Certificate2Collection ReadOwn()
    {
        if (X509Certificate2.GetCertContentType(CertificateFile) == X509ContentType.Pfx)
        {
            var all = X509CertificateLoader.LoadPkcs12CollectionFromFile(CertificateFile, Password);
            var owned = all.FirstOrDefault(certificate => certificate.HasPrivateKey) ?? throw new CryptographicException("it has no certificate with a private key");
            all.Remove(owned);
            all.Insert(0, owned);
            return all;
        }

        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(CertificateFile);
        if (chain.Count == 0)
            throw new CryptographicException("it has no certificate");
        var key = KeyFile.Length > 0 ? KeyFile : CertificateFile;
        var withKey = Password.Length > 0
            ? X509Certificate2.CreateFromEncryptedPemFile(CertificateFile, Password, key)
            : X509Certificate2.CreateFromPemFile(CertificateFile, key);
        chain[0].Dispose();
        chain[0] = withKey;
        return chain;
    }

    private X509Certificate2Collection ReadAuthorities()
    {
        var authorities = new X509Certificate2Collection();
        authorities.ImportFromPemFile(AuthoritiesFile);
        return authorities.Count > 0 ? authorities : throw new CryptographicException("it has no certificate");
    }
}

/// <summary>What is known of a node's certificate.</summary>
/// <param name="Subject">Whose; empty when the files cannot be read.</param>
/// <param name="NotBefore">From when it is valid, UTC; null when it cannot be read.</param>
/// <param name="NotAfter">Until when it is valid, UTC; null when it cannot be read.</param>
/// <param name="HasKey">The private key is there and belongs to it.</param>
/// <param name="IsChainGood">The authorities vouch for it, and it is valid now.</param>
/// <param name="Problems">One sentence each.</param>
public sealed record TlsFacts(string Subject, DateTime? NotBefore, DateTime? NotAfter, bool HasKey, bool IsChainGood, IReadOnlyList<string> Problems);
