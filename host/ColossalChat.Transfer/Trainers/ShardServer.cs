using System.Diagnostics;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// The other end of a <see cref="ShardLine"/>: writes copies of a rank's state on a thread of its own, so that the rank
/// trains on meanwhile.
/// </summary>
internal sealed class ShardServer : IDisposable
{
    // The leading process comes when the role is made, however long that takes; it may never come.
    private static readonly TimeSpan s_forever = TimeSpan.FromDays(7);
    private static readonly TimeSpan s_sign = TimeSpan.FromSeconds(1);
    private readonly CancellationTokenSource _end = new();
    private readonly IPeerLinks _links;
    private readonly RemoteRank _rank;
    private readonly CapturedStates _states;
    private readonly StateKeeping _keeping;
    private readonly Thread _thread;

    /// <summary>Waits for the leading process.</summary>
    /// <param name="links">Where.</param>
    /// <param name="rank">Whose states.</param>
    /// <param name="states">The copies.</param>
    /// <param name="keeping">Told what was written.</param>
    public ShardServer(PeerLinks links, RemoteRank rank, CapturedStates states, StateKeeping keeping)
    {
        (_links, _rank, _states, _keeping) = (links.Until(_end.Token), rank, states, keeping);
        _thread = new Thread(Run) { IsBackground = true, Name = $"{rank} shards" };
        _thread.Start();
    }

    /// <summary>Waits for no leading process any more, but for one that came until it is gone: it may still want a shard.</summary>
    public void Dispose()
    {
        _end.Cancel();
        _thread.Join();
        _end.Dispose();
    }

    private void Run()
    {
        try
        {
            using var line = RoleLine.Meet(_links, _rank.ShardLineName, isCaller: false, s_forever);
            while (true)
            {
                var (request, sign) = (line.Receive().Body, Stopwatch.StartNew());
                var (kind, answer) = Answer(request, () => Check(line, sign));
                line.Send(kind, answer);
            }
        }
        catch (Exception error) when (error is IOException or OperationCanceledException or TimeoutException)
        {
            return; // The leading process is gone, or never came.
        }
    }

    // Who is not wanted any more stops, since another process may write the same files by now; who is gives a sign.
    private void Check(RoleLine line, Stopwatch sign)
    {
        if (line.BrokenBy is { } reason)
            throw new OperationCanceledException($"{_rank} stopped writing its shard: {reason}");
        if (sign.Elapsed < s_sign)
            return;
        line.Send(RoleFrame.Busy, []);
        sign.Restart();
    }

    private (RoleFrame Kind, byte[] Body) Answer(byte[] request, Action check)
    {
        try
        {
            using var from = TrainerCodec.Open(request);
            var file = Write(ShardRequest.ReadFrom(from), check);
            return (RoleFrame.Done, TrainerCodec.Bytes(to =>
            {
                to.Write(file.Bytes);
                to.Write(file.Hash);
            }));
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            var isOfDisk = error is IOException or UnauthorizedAccessException;
            return (RoleFrame.Failed, TrainerCodec.Bytes(to =>
            {
                to.Write(isOfDisk);
                to.Write(isOfDisk ? error.Message : $"{error.GetType().Name}: {error.Message}");
            }));
        }
    }

    private WrittenFile Write(ShardRequest request, Action check)
    {
        var file = _states.Find(request.Id).WriteTo(request.DataFile, check);
        check();
        using (var index = File.Create(request.IndexFile))
        {
            index.Write(request.Index);
            index.Flush(flushToDisk: true);
        }

        _keeping.Note($"{_rank} wrote {request.DataFile}, {file.Bytes} bytes.");
        return file;
    }
}
