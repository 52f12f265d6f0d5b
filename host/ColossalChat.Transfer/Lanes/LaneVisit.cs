using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace ColossalChat.Transfer;

/// <summary>What visits share.</summary>
internal sealed record LaneDesk(LaneSettings Settings, LaneBlocks Blocks, LaneSender Sender, LaneTraffic Traffic, TlsIdentity? Identity, CancellationToken Stop);

/// <summary>
/// A reader's connection, seen from the lane that serves it. It says the block's token first, and nothing is answered before
/// it has. One thread uses it at a time; it is parked while the reader reads from another.
/// </summary>
internal sealed class LaneVisit(Socket socket, LaneDesk desk) : IDisposable
{
    private readonly LaneSettings _settings = desk.Settings;
    private LaneLine? _line;
    private LaneHello? _hello;
    private ServedBlock? _block;

    public Socket Socket => socket;

    /// <summary>True once the reader has said the right token.</summary>
    public bool HasGreeted { get; private set; }

    /// <summary>True while nothing is expected from it.</summary>
    public bool IsParked { get; set; }

    /// <summary>True when its reader has everything of a block that nobody else gets any more.</summary>
    public bool MayGo => _block?.Chain?.MayGo(_hello!.Reader) ?? false;

    /// <summary>Speaks with the reader.</summary>
    /// <returns>True when it is to be parked now; false when nothing is left to say.</returns>
    /// <exception cref="IOException">It is gone, too slow, or talks nonsense.</exception>
    public bool Converse()
    {
        if (!HasGreeted)
        {
            if (!Greet())
                return false;
            if (_hello!.Purpose == ReaderPurpose.Join && !Assign(_block!.Chain?.Join(Address())))
                return true;
            if (_hello.Purpose == ReaderPurpose.Read)
                _line!.Send(FrameKind.Serve, [], _settings.Silence);
        }

        while (true)
        {
            var (kind, length) = _line!.ReceiveHead(_settings.Silence, desk.Stop);
            var words = _line.ReceiveWords(Math.Min(length, LaneLine.LongestWords), _settings.Silence, desk.Stop);
            switch (kind)
            {
                case FrameKind.Want when length == 8:
                    var (first, count) = (BinaryPrimitives.ReadInt32LittleEndian(words), BinaryPrimitives.ReadInt32LittleEndian(words[4..]));
                    desk.Sender.Send(_block!, _line, first, count, desk.Stop);
                    break;
                case FrameKind.Lost when length == 16 && _block!.Chain is { } chain:
                    if (!Assign(chain.Lost(_hello!.Reader, new Guid(words))))
                        return true;
                    break;
                case FrameKind.Done:
                    return _block!.Chain?.Complete(_hello!.Reader) ?? false;
                default:
                    throw new IOException($"A reader said {kind} with {length} bytes, which it may not here.");
            }
        }
    }

    /// <summary>Closes the connection when its reader needs it no more.</summary>
    /// <param name="chain">Of a block that nobody else gets any more.</param>
    public void LetGo(ReaderChain chain)
    {
        if (IsParked && _block?.Chain == chain && MayGo)
            Shut();
    }

    /// <summary>Ends the conversation from another thread.</summary>
    public void Shut()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // It is closed already.
            return;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_hello is not null)
            _block?.Chain?.Left(_hello.Reader);
        _block?.File.Dispose();
        _block = null;
        _line?.Dispose();
        socket.Dispose();
    }

    private bool Greet()
    {
        // One limit for all of it: who sends a byte now and then holds a connection no longer than who sends nothing.
        var limit = new Deadline(_settings.Greeting);
        _line = new LaneLine(LaneDial.Welcome(socket, _settings, desk.Identity));
        var (kind, length) = _line.ReceiveHead(limit.Left, desk.Stop);
        if (kind != FrameKind.Hello || length > LaneHello.Longest)
            throw new IOException($"Its first frame is of kind {(int)kind} with {length} bytes, and not a greeting.");
        _hello = LaneHello.Parse(_line.ReceiveWords(length, limit.Left, desk.Stop)) ?? throw new IOException("Its greeting has another form or version.");
        if (!desk.Blocks.TryFind(_hello, out _block))
            throw new IOException("It does not know the token of the block that it asks for.");
        HasGreeted = true;
        // A copy of a withdrawn block is no publication: who asks for that might be the one who fills the copy.
        if (_block is not null && (_block.Chain is not null || _hello.Purpose == ReaderPurpose.Read))
            return true;
        _line.Send(FrameKind.Gone, [], _settings.Silence);
        return false;
    }

    // True when the reader reads from this lane.
    private bool Assign(LaneParent? parent)
    {
        if (parent is null)
        {
            _line!.Send(FrameKind.Serve, [], _settings.Silence);
            return true;
        }

        desk.Traffic.Redirected(_block!.Block);
        _line!.Send(FrameKind.Redirect, parent.ToBytes(), _settings.Silence);
        return false;
    }

    // A reader that says no host is reached where it comes from.
    private LaneParent Address() => new(
        _hello!.Reader,
        _hello.Host.Length > 0 ? _hello.Host : ((IPEndPoint)socket.RemoteEndPoint!).Address.ToString(),
        _hello.Port);
}
