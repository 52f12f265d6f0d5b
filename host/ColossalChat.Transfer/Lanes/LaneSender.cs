using System.Buffers;
using System.Diagnostics;
using System.Globalization;

namespace ColossalChat.Transfer;

/// <summary>Sends chunks, no more blocks at a time and no faster than the settings allow. Safe to use from several threads.</summary>
internal sealed class LaneSender(LaneSettings settings, LaneTraffic traffic)
{
    private readonly Pace _pace = new(settings.Quota);
    private readonly object _turns = new();
    private int _taken;

    // A reader that hears nothing looks for another source.
    private TimeSpan SignOfLife => settings.Silence / 4;

    /// <summary>Sends chunks as they come to be here.</summary>
    /// <exception cref="IOException">The reader is gone or too slow, or asks for what there is not.</exception>
    public void Send(ServedBlock block, LaneLine line, int first, int count, CancellationToken stop)
    {
        if (first < 0 || count < 1 || first > block.File.Chunks - count)
            throw new IOException(string.Create(CultureInfo.InvariantCulture, $"A reader asks for {count} chunks from {first} of a block that has {block.File.Chunks}."));
        // Whoever waits for chunks that are on their way holds no turn: those who send them might wait for it.
        for (var chunk = first; chunk < first + count; chunk++)
        {
            while (!block.File.AwaitReady(chunk, SignOfLife))
            {
                stop.ThrowIfCancellationRequested();
                if (block.File.IsAbandoned)
                    throw new IOException("The block is no longer being fetched here.");
                line.Send(FrameKind.Wait, [], settings.Silence);
            }

            while (!TryTakeTurn(stop))
                line.Send(FrameKind.Wait, [], settings.Silence);
            try
            {
                SendChunk(block, line, chunk, stop);
            }
            finally
            {
                GiveTurn();
            }
        }
    }

    private bool TryTakeTurn(CancellationToken stop)
    {
        var deadline = new Deadline(SignOfLife);
        lock (_turns)
        {
            while (_taken >= settings.Transfers)
            {
                stop.ThrowIfCancellationRequested();
                if (deadline.HasPassed)
                    return false;
                Monitor.Wait(_turns, deadline.Milliseconds(SocketBytes.LongestWait));
            }

            _taken++;
            return true;
        }
    }

    private void GiveTurn()
    {
        lock (_turns)
        {
            _taken--;
            Monitor.Pulse(_turns);
        }
    }

    private void SendChunk(ServedBlock block, LaneLine line, int chunk, CancellationToken stop)
    {
        var (file, length) = (block.File, block.File.LengthOf(chunk));
        line.SendChunkHead(file.HashOf(chunk), length, settings.Silence);
        var waited = TimeSpan.Zero;
        for (var done = 0; done < length;)
        {
            stop.ThrowIfCancellationRequested();
            var piece = Math.Min(_pace.Piece, length - done);
            Thread.Sleep(_pace.Take(piece));
            // Before it goes: whoever has received it may ask for the count.
            traffic.Sent(block.Block, piece);
            var start = Stopwatch.GetTimestamp();
            if (!SendPiece(file, line.Wire, file.PlaceOf(chunk) + done, piece, new Deadline(settings.Silence - waited)))
                throw new IOException($"A reader is gone, or does not take a chunk within {settings.Silence}.");
            // The pauses that we make ourselves are not its fault.
            waited += Stopwatch.GetElapsedTime(start);
            done += piece;
        }
    }

    private static bool SendPiece(BlobFile file, Wire wire, long place, int length, Deadline deadline)
    {
        if (!wire.IsPlain || !OperatingSystem.IsLinux())
        {
            var buffer = ArrayPool<byte>.Shared.Rent(length);
            try
            {
                file.Read(place, buffer.AsSpan(0, length));
                return wire.SendAll(buffer.AsSpan(0, length), deadline);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }

        while (length > 0)
        {
            var step = SocketBytes.SendFile(wire.Socket, file.Handle, place, length, deadline.Milliseconds(SocketBytes.LongestWait), out var sent);
            if (step == SocketStep.Closed || (step == SocketStep.Waited && deadline.HasPassed))
                return false;
            (place, length) = (place + sent, length - sent);
        }

        return true;
    }
}
