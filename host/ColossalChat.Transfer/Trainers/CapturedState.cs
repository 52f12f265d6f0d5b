using System.IO.Hashing;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>A copy of a rank's state in the process that has the rank.</summary>
/// <param name="files">Shared with the process that leads the run; disposed with this.</param>
/// <param name="keeping">Says how much memory may be taken.</param>
internal sealed class CapturedState(StateFiles files, StateKeeping keeping) : IStateWriter, IDisposable
{
    // Less than that is not worth a thought about where it goes.
    private const int Small = 1 << 16;
    private const int PieceLength = 1 << 20;
    private readonly Dictionary<string, Tensor> _tensors = [];
    private readonly Dictionary<string, string> _documents = [];
    private long _memoryEnd;
    private long _diskEnd;
    private long _taken;

    /// <summary>Forgets the content and keeps its room for the next.</summary>
    public void Begin()
    {
        _tensors.Clear();
        _documents.Clear();
        (_memoryEnd, _diskEnd) = (0, 0);
    }

    /// <inheritdoc/>
    public void WriteTensor(string name, ElementType type, ReadOnlySpan<long> shape, ReadOnlySpan<byte> data)
    {
        if (!_tensors.TryAdd(name, new Tensor(type, shape.ToArray(), data.Length, Put(data))))
            throw new ArgumentException($"A role writes two tensors named '{name}'.", nameof(name));
    }

    /// <inheritdoc/>
    public void WriteJson(string name, string json)
    {
        if (!_documents.TryAdd(name, json))
            throw new ArgumentException($"A role writes two documents named '{name}'.", nameof(name));
    }

    /// <summary>The content is complete: gives back the room that it did not need.</summary>
    public void End()
    {
        files.CutAt(new StatePlace(IsInMemory: true, _memoryEnd));
        files.CutAt(new StatePlace(IsInMemory: false, _diskEnd));
        keeping.Give(_taken - _memoryEnd);
        _taken = _memoryEnd;
    }

    /// <summary>What is where, as <see cref="RankState"/> reads it.</summary>
    public void WriteIndex(BinaryWriter to)
    {
        to.Write(_tensors.Count);
        foreach (var (name, tensor) in _tensors)
        {
            TrainerCodec.WriteHead(to, name, tensor.Type, tensor.Shape);
            to.Write(tensor.Bytes);
            to.Write(tensor.Place.IsInMemory);
            to.Write(tensor.Place.Offset);
        }

        to.Write(_documents.Count);
        foreach (var (name, json) in _documents)
        {
            to.Write(name);
            to.Write(json);
        }
    }

    /// <summary>Writes the bytes of all tensors, back to back, and puts them on the disk.</summary>
    /// <param name="path">Where.</param>
    /// <param name="check">Called before each piece; throws when nobody wants the file any more.</param>
    public WrittenFile WriteTo(string path, Action check)
    {
        var (hash, piece) = (new XxHash128(), new byte[PieceLength]);
        using var stream = File.Create(path);
        foreach (var tensor in _tensors.Values)
        {
            for (var start = 0; start < tensor.Bytes; start += piece.Length)
            {
                check();
                var next = piece.AsSpan(0, Math.Min(piece.Length, tensor.Bytes - start));
                files.Read(tensor.Place with { Offset = tensor.Place.Offset + start }, next);
                stream.Write(next);
                hash.Append(next);
            }
        }

        stream.Flush(flushToDisk: true);
        return new WrittenFile(stream.Length, Convert.ToHexStringLower(hash.GetCurrentHash()));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        files.Dispose();
        keeping.Give(_taken);
        _taken = 0;
    }

    private StatePlace Put(ReadOnlySpan<byte> data)
    {
        var place = new StatePlace(IsInMemory: true, _memoryEnd);
        if (TryTakeRoom(_memoryEnd + data.Length, data.Length) && TryWrite(place, data))
        {
            _memoryEnd += data.Length;
            return place;
        }

        place = new StatePlace(IsInMemory: false, _diskEnd);
        files.Write(place, data);
        _diskEnd += data.Length;
        return place;
    }

    private bool TryTakeRoom(long end, int bytes)
    {
        var more = end - _taken;
        if (more <= 0)
            return true;
        if (bytes < Small)
            keeping.Take(more);
        else if (!keeping.TryTake(more))
            return false;
        _taken = end;
        return true;
    }

    // Less may be there than the process is allowed to take: other processes use the same memory.
    private bool TryWrite(StatePlace place, ReadOnlySpan<byte> data)
    {
        try
        {
            files.Write(place, data);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private sealed record Tensor(ElementType Type, long[] Shape, int Bytes, StatePlace Place);
}
