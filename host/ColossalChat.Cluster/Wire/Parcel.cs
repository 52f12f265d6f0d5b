using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>In place of a message above <see cref="WireLimits.MessageBytes"/>: its bytes lie in the blob lane.</summary>
/// <param name="Number">Of the parcel, among those of its sender.</param>
/// <param name="Manifest">Of the message; never a parcel's.</param>
/// <param name="Pieces">
/// Its bytes one after the other, at most <see cref="WireLimits.ParcelBytes"/> together and <see cref="WireLimits.PieceBytes"/> in
/// each: who opens it takes memory for the next when the one before has come, whatever it was told.
/// </param>
internal sealed record Parcel(long Number, string Manifest, IReadOnlyList<BlobReference> Pieces) : IWireMessage
{
    /// <summary>Manifest of parcels.</summary>
    public const string OwnManifest = "pc1";

    /// <summary>Bytes of all pieces.</summary>
    public long Bytes => Pieces.Sum(piece => piece.Bytes);
}

/// <summary>Who opened a parcel, or could not -> who sent it: its bytes are no longer needed.</summary>
/// <param name="Number">Of the parcel.</param>
internal sealed record ParcelTaken(long Number) : IWireMessage;
