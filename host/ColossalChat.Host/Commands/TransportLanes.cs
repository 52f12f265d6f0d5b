using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ColossalChat.Contracts;
using ColossalChat.Transfer;

namespace ColossalChat.Host.Commands;

/// <summary>The lanes of one process of the benchmark: one that shares its machine with all, one that pretends to be alone on another machine, one that is that and encrypts.</summary>
internal sealed class TransportLanes : IDisposable
{
    private readonly Dictionary<TransportWay, NetworkBlobLane> _lanes;

    public TransportLanes(string folder, int number, INodeLog log)
    {
        NetworkBlobLane Lane(string machine, TlsSettings? tls = null) => new(new LaneSettings { MachineId = machine, Tls = tls }, log);
        _lanes = new Dictionary<TransportWay, NetworkBlobLane>
        {
            [TransportWay.Shared] = Lane("bench"),
            [TransportWay.Sockets] = Lane($"bench-{number}"),
            [TransportWay.Encrypted] = Lane($"bench-{number}", Certificate(folder)),
        };
    }

    public NetworkBlobLane this[TransportWay way] => _lanes[way];

    /// <summary>Writes a certificate that is its own authority, for one measurement.</summary>
    public static void MakeCertificate(string folder)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=colossalchat bench", key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        File.WriteAllText(Path.Combine(folder, "node.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, "node.key"), key.ExportPkcs8PrivateKeyPem());
    }

    public void Dispose()
    {
        foreach (var lane in _lanes.Values)
            lane.Dispose();
    }

    private static TlsSettings Certificate(string folder) => new()
    {
        CertificateFile = Path.Combine(folder, "node.pem"), KeyFile = Path.Combine(folder, "node.key"), AuthoritiesFile = Path.Combine(folder, "node.pem"),
    };
}
