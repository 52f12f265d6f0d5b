using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>In place of a message above <see cref="WireLimits.MessageBytes"/>: its bytes lie in the blob lane.</summary>
/// <param name="Manifest">Of the message; never a parcel's.</param>
/// <param name="Blob">Its bytes, at most <see cref="WireLimits.ParcelBytes"/>.</param>
internal sealed record Parcel(string Manifest, BlobReference Blob) : IWireMessage
{
    /// <summary>Manifest of parcels.</summary>
    public const string OwnManifest = "pc1";
}

/// <summary>Who opened a parcel -> who sent it: its bytes are no longer needed.</summary>
/// <param name="Blob">Of the parcel.</param>
internal sealed record ParcelTaken(BlobReference Blob) : IWireMessage;
