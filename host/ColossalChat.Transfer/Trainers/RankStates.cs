using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Has a rank in another process make copies of its state there, and knows those that are still of use here.</summary>
/// <param name="calls">To the rank.</param>
/// <param name="shards">To its process, which writes the copies.</param>
/// <param name="folder">Takes what is too much for memory.</param>
internal sealed class RankStates(CallLine calls, ShardLine shards, string folder)
{
    private readonly List<WeakReference<RankState>> _known = [];
    private long _last;

    /// <summary>Makes a copy and hands it over, or writes it to whoever takes nothing over.</summary>
    public void Capture(IStateWriter writer)
    {
        if (writer is not IStateTaker taker)
        {
            using var copy = Capture(spare: null);
            copy.CopyTo(writer);
            return;
        }

        var state = Capture(taker.GiveBack());
        try
        {
            taker.Take(state);
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    // A copy in another process, that of an attempt before, is of no use any more.
    private RankState Capture(IKeptState? spare)
    {
        if (spare is RankState own && own.IsAt(shards))
            return Capture(own, newFiles: null);
        spare?.Dispose();
        var files = StateFiles.Create(folder, out var names);
        try
        {
            var state = Capture(new RankState(++_last, shards, files), names);
            _known.Add(new WeakReference<RankState>(state));
            return state;
        }
        finally
        {
            // The other process does it at once, unless it died before.
            StateFiles.Forget(names);
        }
    }

    private RankState Capture(RankState state, StateFileNames? newFiles)
    {
        try
        {
            return calls.Ask(TrainerCall.Capture, new CaptureRequest(state.Id, newFiles, InUse()).WriteTo, state.ReadIndex);
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    // The other process lets go of all others.
    private List<long> InUse()
    {
        var ids = new List<long>();
        foreach (var known in _known.ToArray())
        {
            if (known.TryGetTarget(out var state) && !state.IsDisposed)
                ids.Add(state.Id);
            else
                _known.Remove(known);
        }

        return ids;
    }
}

/// <summary>What the other process needs to make a copy.</summary>
/// <param name="Id">Number of the copy.</param>
/// <param name="NewFiles">Names of the files of a new copy; null to write over one.</param>
/// <param name="InUse">Numbers of the copies that must stay.</param>
internal sealed record CaptureRequest(long Id, StateFileNames? NewFiles, IReadOnlyList<long> InUse)
{
    public void WriteTo(BinaryWriter to)
    {
        to.Write(Id);
        to.Write(NewFiles is not null);
        if (NewFiles is { } names)
        {
            to.Write(names.Memory);
            to.Write(names.Disk);
        }

        to.Write(InUse.Count);
        foreach (var id in InUse)
            to.Write(id);
    }

    public static CaptureRequest ReadFrom(BinaryReader from)
    {
        var id = from.ReadInt64();
        var names = from.ReadBoolean() ? new StateFileNames(from.ReadString(), from.ReadString()) : null;
        var inUse = new long[from.ReadInt32()];
        for (var i = 0; i < inUse.Length; i++)
            inUse[i] = from.ReadInt64();
        return new CaptureRequest(id, names, inUse);
    }
}
