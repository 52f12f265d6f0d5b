using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Opens parcels of one node, one after the other; it waits for the network, on a thread of its own.</summary>
internal sealed class ParcelFetcher : ReceiveActor
{
    private readonly IBlobLane _lane;
    private readonly CancellationTokenSource _cancel;
    private readonly ILoggingAdapter _log = Context.GetLogger();

    /// <param name="serializer">Reads messages.</param>
    /// <param name="lane">Brings them.</param>
    /// <param name="cancel">Cancelled when the node is silent or gone; disposed with this actor.</param>
    public ParcelFetcher(FlowSerializer serializer, IBlobLane lane, CancellationTokenSource cancel)
    {
        (_lane, _cancel) = (lane, cancel);
        Receive<ParcelDesk.Delivery>(delivery =>
        {
            var parcel = delivery.Parcel;
            try
            {
                delivery.Recipient.Tell(serializer.Unpack(parcel.Manifest, BytesOf(parcel)), delivery.Sender);
            }
            catch (Exception error)
            {
                // Whatever came in it, the next parcel of the node is to be opened.
                _log.Warning("A parcel of {0} bytes from {1} was not delivered: {2}", parcel.Bytes, delivery.Sender.Path, error.Message);
            }

            // One that failed too: it comes again as another parcel, and nobody opens this one any more.
            delivery.Sender.Tell(new ParcelTaken(parcel.Number), Context.Parent);
        });
    }

    protected override void PostStop() => _cancel.Dispose();

    // At most twice what has come, and a piece.
    private ReadOnlyMemory<byte> BytesOf(Parcel parcel)
    {
        var (bytes, filled, whole) = (Array.Empty<byte>(), 0, checked((int)parcel.Bytes));
        foreach (var piece in parcel.Pieces)
        {
            _cancel.Token.ThrowIfCancellationRequested();
            var next = (int)piece.Bytes;
            if (bytes.Length - filled < next)
            {
                var larger = GC.AllocateUninitializedArray<byte>((int)Math.Min(whole, Math.Max(2L * filled, filled + next)));
                bytes.AsSpan(0, filled).CopyTo(larger);
                bytes = larger;
            }

            _lane.Fetch(piece, bytes.AsSpan(filled, next), _cancel.Token);
            filled += next;
        }

        return bytes.AsMemory(0, filled);
    }
}
