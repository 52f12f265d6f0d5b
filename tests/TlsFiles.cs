using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ColossalChat.Transfer;

namespace ColossalChat.Tests;

/// <summary>An authority of a test, and certificates that it signs; files in a folder of their own.</summary>
internal sealed class TlsFiles : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _authority;

    public TlsFiles(string name = "test authority")
    {
        var request = new CertificateRequest($"CN={name}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        _authority = request.CreateSelfSigned(Now.AddYears(-2), Now.AddYears(2));
        AuthoritiesFile = Write("authorities.pem", _authority.ExportCertificatePem());
    }

    public static DateTimeOffset Now { get; } = DateTimeOffset.UtcNow;

    public string Folder { get; } = Directory.CreateTempSubdirectory("colossalchat-tls-test-").FullName;

    public string AuthoritiesFile { get; }

    /// <summary>A node's files.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="from">Years from now.</param>
    /// <param name="to">Years from now.</param>
    /// <param name="password">Encrypts the key; empty for none.</param>
    /// <param name="isPfx">One file with both.</param>
    public TlsSettings Node(string name, double from = -1, double to = 1, string password = "", bool isPfx = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Sign($"CN={name}", key, from, to);
        if (isPfx)
        {
            using var both = certificate.CopyWithPrivateKey(key);
            var pfx = Path.Combine(Folder, $"{name}.pfx");
            File.WriteAllBytes(pfx, both.Export(X509ContentType.Pfx, password));
            return new TlsSettings { CertificateFile = pfx, Password = password, AuthoritiesFile = AuthoritiesFile };
        }

        var pem = password.Length > 0
            ? key.ExportEncryptedPkcs8PrivateKeyPem(password, new PbeParameters(PbeEncryptionAlgorithm.Aes128Cbc, HashAlgorithmName.SHA256, 1000))
            : key.ExportPkcs8PrivateKeyPem();
        return new TlsSettings
        {
            CertificateFile = Write($"{name}.pem", certificate.ExportCertificatePem()),
            KeyFile = Write($"{name}.key", pem),
            Password = password,
            AuthoritiesFile = AuthoritiesFile,
        };
    }

    public string Write(string name, string text)
    {
        var path = Path.Combine(Folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    public void Dispose()
    {
        _authority.Dispose();
        _key.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private X509Certificate2 Sign(string subject, ECDsa key, double from, double to)
    {
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, 0, critical: true));
        return request.Create(_authority, Now.AddDays(365 * from), Now.AddDays(365 * to), Guid.NewGuid().ToByteArray());
    }
}
