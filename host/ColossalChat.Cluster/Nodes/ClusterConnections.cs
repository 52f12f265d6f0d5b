using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Section <c>cluster.tls</c>: mutual TLS on every connection between nodes. It is on when a certificate is named; each node
/// may have files of its own.
/// </summary>
public sealed record ClusterTls : ICheckedOptions
{
    /// <summary>This node's certificate: a PEM file, or a PFX file with its key. Empty turns TLS off; default empty.</summary>
    public string Certificate { get; init; } = "";

    /// <summary>The certificate's private key, PEM. Empty: it is in the certificate's file. Default empty.</summary>
    public string Key { get; init; } = "";

    /// <summary>Password of the key or the PFX; best given as COLOSSALCHAT_CLUSTER__TLS__PASSWORD. Empty for none; default empty.</summary>
    public string Password { get; init; } = "";

    /// <summary>PEM file with the certificates of the authorities whose word counts, and nobody else's. Required with a certificate.</summary>
    public string Authorities { get; init; } = "";

    /// <summary>
    /// Whom of those that the authorities have signed we let in: host names or addresses as the nodes' certificates have them, or
    /// whole subjects such as <c>CN=node1, O=Us</c>. Empty lets in every certificate of the authorities, which is right for an authority
    /// that signs nobody but these nodes; default empty.
    /// </summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>True when nodes show certificates.</summary>
    public bool IsOn => Certificate.Length > 0;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (IsOn && Authorities.Length == 0)
            yield return "authorities is empty and certificate is not; name the PEM file of the authority that signs the nodes' certificates.";
        if (!IsOn && (Key.Length > 0 || Password.Length > 0 || Authorities.Length > 0 || Names.Count > 0))
            yield return "certificate is empty and other keys are not; name this node's certificate, or leave the whole section out.";
    }

    // All but the password.
    private bool PrintMembers(StringBuilder text)
    {
        text.Append("Certificate = ").Append(Certificate).Append(", Key = ").Append(Key)
            .Append(", Password = ").Append(Password.Length > 0 ? "(set)" : "").Append(", Authorities = ").Append(Authorities)
            .Append(", Names = ").Append(string.Join(' ', Names));
        return true;
    }
}

/// <summary>Section <c>cluster.lane</c>: where large blocks travel, beside Akka's own port.</summary>
public sealed record ClusterLane : ICheckedOptions
{
    /// <summary>Name or address to listen on; <c>0.0.0.0</c> for all. Empty takes what Akka listens on; default empty.</summary>
    public string Host { get; init; } = "";

    /// <summary>Name or address by which other nodes reach it. Empty takes the one they reach Akka by; default empty.</summary>
    public string AdvertisedHost { get; init; } = "";

    /// <summary>Port to listen on; 0 takes a free one. 0 to 65535; default 0.</summary>
    public int Port { get; init; }

    /// <summary>Most bytes that this node sends in a second, all readers together. 0 for no limit, else 65536 or more; default 0.</summary>
    public long Quota { get; init; }

    /// <summary>Blocks sent at the same time; further readers wait their turn. 1 to 256; default 8.</summary>
    public int Transfers { get; init; } = 8;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Port is < 0 or > 65535)
            yield return $"port is {Port}; it must be from 0 (any free one) to 65535.";
        if (Quota is not 0 and < 65536)
            yield return $"quota is {Quota}; it must be 0 (none) or at least 65536 bytes a second.";
        if (Transfers is < 1 or > 256)
            yield return $"transfers is {Transfers}; it must be from 1 to 256.";
    }
}
