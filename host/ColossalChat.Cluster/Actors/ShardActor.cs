using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>
/// Keeps the copy of one role's state on the role's node and writes it when it is asked to, on a dispatcher of its own
/// because it waits for the disk.
/// </summary>
internal sealed class ShardActor : ReceiveActor
{
    private readonly string _slot;
    private (long Number, StateImage Image)? _kept;
    private ShardWritten? _written;

    public ShardActor(string slot)
    {
        _slot = slot;
        Receive<Keep>(keep => _kept?.Number != keep.Number, keep => (_kept, _written) = ((keep.Number, keep.Image), null));
        Receive<WriteShard>(Write);
    }

    private void Write(WriteShard write)
    {
        // The request may come twice, when the first answer was lost.
        if (_written?.Number == write.Number)
            Sender.Tell(_written);
        else if (_kept is not { } kept || kept.Number != write.Number)
            Sender.Tell(new ShardNotWritten(write.Number, $"{_slot} keeps no copy {write.Number} of its state."));
        else
            Write(write, kept.Image);
    }

    private void Write(WriteShard write, StateImage image)
    {
        try
        {
            var file = ShardWriter.WriteFiles(image, write.DataFile, write.IndexFile, write.IndexHash);
            Sender.Tell(_written = new ShardWritten(write.Number, file));
        }
        catch (Exception error)
        {
            // Whoever waits for the answer must get one, whatever went wrong.
            Sender.Tell(new ShardNotWritten(write.Number, $"{_slot} could not write {write.DataFile}: {error.Message}"));
        }
    }

    /// <summary>Role actor -> keeper: this is the newest copy; the one before is of no use any more.</summary>
    internal sealed record Keep(long Number, StateImage Image);
}
