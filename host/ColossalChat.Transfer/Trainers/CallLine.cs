namespace ColossalChat.Transfer;

/// <summary>The caller's end of the line to a rank in another process: asks for calls and waits for their answers.</summary>
/// <param name="line">Closed with this.</param>
/// <param name="name">Who is at the other end, for messages, such as <c>rank 1 of policy</c>.</param>
internal sealed class CallLine(RoleLine line, string name) : IDisposable
{
    /// <summary>A call whose answer says nothing.</summary>
    public void Ask(TrainerCall call, Action<BinaryWriter> write) => Ask(call, write, _ => true);

    /// <summary>
    /// A call and its answer. There is no other way to interrupt it than to give up its process, and whoever cancels gives up
    /// the role too.
    /// </summary>
    public T Ask<T>(TrainerCall call, Action<BinaryWriter> write, Func<BinaryReader, T> read, CancellationToken cancel = default)
    {
        using var stop = cancel.Register(() => line.Abort("The call was cancelled."));
        try
        {
            Send(call, write);
            using var from = TrainerCodec.Open(Next().Body);
            return read(from);
        }
        catch (IOException) when (cancel.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancel);
        }
    }

    /// <summary>A call whose answer comes in several frames.</summary>
    public void Send(TrainerCall call, Action<BinaryWriter> write) => Send(RoleFrame.Call, TrainerCodec.Bytes(to =>
    {
        to.Write((byte)call);
        write(to);
    }));

    /// <summary>Sends what the other end asked for.</summary>
    /// <exception cref="IOException">The other process is gone.</exception>
    public void Send(RoleFrame kind, ReadOnlySpan<byte> body)
    {
        try
        {
            line.Send(kind, body);
        }
        catch (IOException error)
        {
            throw Gone(error);
        }
    }

    /// <summary>Waits for a frame.</summary>
    /// <exception cref="RankFailedException">The call failed; other types where the failure can be told from here.</exception>
    /// <exception cref="IOException">The other process is gone.</exception>
    public (RoleFrame Kind, byte[] Body) Next()
    {
        try
        {
            var frame = line.Receive();
            return frame.Kind == RoleFrame.Failed ? throw TrainerCodec.ReadFailure(frame.Body, name) : frame;
        }
        catch (IOException error)
        {
            throw Gone(error);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => line.Dispose();

    private IOException Gone(IOException error) => new($"{name} is gone: {error.Message}", error);
}
