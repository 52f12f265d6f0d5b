using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// The line on which a rank's process is asked to write copies of its state, while calls to the rank go on. Given up while
/// the other process writes, it stays until that is done. Safe to use from several threads.
/// </summary>
/// <param name="line">To the other process.</param>
/// <param name="name">Who it is, for messages, such as <c>rank 1 of policy</c>.</param>
/// <param name="ended">Called once nobody needs the other process any more.</param>
/// <param name="grace">How long a process that was given up may go on writing; null for 10 seconds.</param>
/// <param name="silence">How long a process that writes may give no sign; null for 5 minutes.</param>
internal sealed class ShardLine(RoleLine line, string name, Action ended, TimeSpan? grace = null, TimeSpan? silence = null)
{
    // A process that hangs must not hold up whoever gave it up; a copy can be written by another one.
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(10);

    // The disk may take its time when it is told to keep what it has.
    private static readonly TimeSpan s_silence = TimeSpan.FromMinutes(5);
    private readonly Lock _turn = new();
    private readonly Lock _lock = new();
    private int _users = 1;
    private bool _isGivenUp;

    /// <summary>Has the other process write a copy, and waits for it.</summary>
    /// <returns>Null when the other process is gone, given up, or hangs.</returns>
    /// <exception cref="IOException">It could not write.</exception>
    public WrittenFile? Write(long id, string dataFile, string indexFile, ReadOnlySpan<byte> index)
    {
        if (!Enter())
            return null;
        try
        {
            lock (_turn)
                return Ask(TrainerCodec.Bytes(new ShardRequest(id, dataFile, indexFile, index.ToArray()).WriteTo)) is not { } answer
                    ? null
                    : Read(answer.Kind, answer.Body, Path.GetDirectoryName(dataFile)!);
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>Gives the other process up once it writes nothing more, or has gone on writing for too long.</summary>
    public void GiveUp()
    {
        lock (_lock)
        {
            if (_isGivenUp)
                return;
            _isGivenUp = true;
        }

        Leave();
        _ = AbortIfItHangs();
    }

    private async Task AbortIfItHangs()
    {
        await Task.Delay(grace ?? s_grace).ConfigureAwait(false);
        lock (_lock)
            if (_users > 0)
                line.Abort($"{name} was given up while it wrote its shard.");
    }

    private (RoleFrame Kind, byte[] Body)? Ask(byte[] request)
    {
        try
        {
            line.Send(RoleFrame.Call, request);
            var answer = line.Receive(silence ?? s_silence);
            while (answer.Kind == RoleFrame.Busy)
                answer = line.Receive(silence ?? s_silence);
            return answer;
        }
        catch (Exception error) when (error is IOException or TimeoutException)
        {
            // The other process died, was given up, or hangs. Whatever it has written is written again.
            line.Abort($"{name} gave no sign while it wrote its shard.");
            return null;
        }
    }

    private WrittenFile Read(RoleFrame kind, byte[] body, string folder)
    {
        using var from = TrainerCodec.Open(body);
        if (kind == RoleFrame.Done)
            return new WrittenFile(from.ReadInt64(), from.ReadString());
        var (isOfDisk, reason) = (from.ReadBoolean(), from.ReadString());
        var message = $"{name} could not write its shard {folder}: {reason}";
        throw isOfDisk ? new IOException(message) : new RankFailedException(message);
    }

    private bool Enter()
    {
        lock (_lock)
        {
            if (_users == 0)
                return false;
            _users++;
            return true;
        }
    }

    private void Leave()
    {
        lock (_lock)
        {
            if (--_users > 0)
                return;
        }

        line.Dispose();
        ended();
    }
}

/// <summary>What a rank's process is asked to write.</summary>
/// <param name="Id">Number of the copy.</param>
/// <param name="DataFile">Gets the bytes of the tensors.</param>
/// <param name="IndexFile">Gets <paramref name="Index"/>.</param>
/// <param name="Index">Content.</param>
internal sealed record ShardRequest(long Id, string DataFile, string IndexFile, byte[] Index)
{
    public void WriteTo(BinaryWriter to)
    {
        to.Write(Id);
        to.Write(DataFile);
        to.Write(IndexFile);
        to.Write(Index.Length);
        to.Write(Index);
    }

    public static ShardRequest ReadFrom(BinaryReader from) =>
        new(from.ReadInt64(), from.ReadString(), from.ReadString(), from.ReadBytes(from.ReadInt32()));
}
