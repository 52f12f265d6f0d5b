using System.Buffers.Binary;
using System.Text.Json;

namespace ColossalChat.Transfer;

/// <summary>What a rank says to the board.</summary>
internal sealed record BoardGreeting(string Magic, string TokenHash, string Group, PeerCard Card)
{
    public const string Expected = "colossalchat board 1";
}

/// <summary>What the board says to the ranks of a group, each time something changes.</summary>
internal sealed record BoardNews(string? Refusal, PeerCard[] Cards);

/// <summary>Length-prefixed JSON on a non-blocking socket, read piece by piece as it comes.</summary>
internal sealed class BoardFrame(Wire wire)
{
    private const int Head = 4;
    private const int Longest = 1 << 20;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);
    private byte[] _bytes = new byte[Head];
    private int _filled;

    public Wire Wire => wire;

    /// <summary>False once the other end is gone or talks nonsense.</summary>
    public bool IsOpen { get; private set; } = true;

    public void Write<T>(T message)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(message);
        var bytes = new byte[Head + body.Length];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, body.Length);
        body.CopyTo(bytes, Head);
        IsOpen &= wire.SendAll(bytes, new Deadline(s_patience));
    }

    /// <summary>The next message, when all of it is here.</summary>
    public T? TryRead<T>()
        where T : class
    {
        while (IsOpen)
        {
            if (_filled == _bytes.Length && TakeWhole<T>(out var message))
                return message;
            if (!IsOpen)
                break;
            switch (wire.Receive(_bytes.AsSpan(_filled), 0, out var received))
            {
                case SocketStep.Moved:
                    _filled += received;
                    break;
                case SocketStep.Waited:
                    return null;
                default:
                    IsOpen = false;
                    break;
            }
        }

        return null;
    }

    // The head makes room for the body; the body makes a message.
    private bool TakeWhole<T>(out T? message)
        where T : class
    {
        message = null;
        if (_bytes.Length == Head)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(_bytes);
            IsOpen = length is > 0 and <= Longest;
            if (IsOpen)
                Array.Resize(ref _bytes, Head + length);
            return false;
        }

        try
        {
            message = JsonSerializer.Deserialize<T>(_bytes.AsSpan(Head));
        }
        catch (JsonException)
        {
            IsOpen = false;
        }

        (_bytes, _filled) = (new byte[Head], 0);
        return message is not null;
    }
}
