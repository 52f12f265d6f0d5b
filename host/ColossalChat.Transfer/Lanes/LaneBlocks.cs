using System.Security.Cryptography;

namespace ColossalChat.Transfer;

/// <summary>A block that this lane can send to readers.</summary>
/// <param name="Block">Id of the publication.</param>
/// <param name="Token">What readers must know.</param>
/// <param name="File">The content, as far as it is here.</param>
/// <param name="Chain">The readers, when this lane published it; null when it is a reader itself.</param>
internal sealed record ServedBlock(Guid Block, byte[] Token, BlobFile File, ReaderChain? Chain);

/// <summary>What this lane can send, and what it could until lately. Safe to use from several threads.</summary>
internal sealed class LaneBlocks
{
    private const int MostGone = 1024;
    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, ServedBlock> _served = [];
    private readonly Dictionary<Guid, byte[]> _gone = [];
    private readonly Queue<Guid> _goneInOrder = [];

    /// <summary>Lets readers have a block, unless they can have it already.</summary>
    public void Add(ServedBlock block)
    {
        lock (_gate)
            _served.TryAdd(block.Block, block);
    }

    /// <summary>Nobody new gets it; those who wait for it are told that it is gone, when they know its token.</summary>
    /// <param name="id">The publication.</param>
    /// <param name="file">What was added; another one of the same publication stays.</param>
    public void Remove(Guid id, BlobFile? file)
    {
        lock (_gate)
        {
            if (!_served.TryGetValue(id, out var block) || block.File != file)
                return;
            _served.Remove(id);
            if (!_gone.TryAdd(id, block.Token))
                return;
            _goneInOrder.Enqueue(id);
            if (_goneInOrder.Count > MostGone)
                _gone.Remove(_goneInOrder.Dequeue());
        }
    }

    /// <summary>False for a reader that does not know the token.</summary>
    /// <param name="hello">The reader's first words.</param>
    /// <param name="block">Held for the caller, who disposes its file; null when it is gone.</param>
    public bool TryFind(LaneHello hello, out ServedBlock? block)
    {
        lock (_gate)
        {
            var isHere = _served.TryGetValue(hello.Block, out block);
            // A reader that guesses learns nothing from how long it takes whether it guessed an id.
            var token = isHere ? block!.Token : _gone.GetValueOrDefault(hello.Block, []);
            var isRight = CryptographicOperations.FixedTimeEquals(hello.Token, token);
            if (!isRight || (isHere && !block!.File.TryHold()))
                block = null;
            return isRight;
        }
    }
}
