using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>A trainer rank that computes in another process: every call goes there and waits for its answer.</summary>
/// <param name="model">Name of the model it trains.</param>
/// <param name="name">Who it is, for messages, such as <c>rank 1 of policy</c>.</param>
/// <param name="line">To the other process; closed with this.</param>
/// <param name="ended">Called once this is disposed.</param>
internal sealed class RemoteTrainer(string model, string name, RoleLine line, Action ended) : ITrainerRole
{
    /// <inheritdoc/>
    public string Model { get; } = model;

    /// <summary>Has the role made, which meets the other ranks of its group.</summary>
    public void Open(CancellationToken cancel) => Ask(TrainerCall.Open, _ => { }, _ => true, cancel);

    /// <inheritdoc/>
    public int Begin(TrainRequest request) =>
        Ask(TrainerCall.Begin, to => TrainerCodec.Write(to, request), from => from.ReadInt32());

    /// <inheritdoc/>
    public bool Compute(int step, CancellationToken cancel) =>
        Ask(TrainerCall.Compute, to => to.Write(step), from => from.ReadBoolean(), cancel);

    /// <inheritdoc/>
    public void Finish(int step, bool apply) => Ask(TrainerCall.Finish, to =>
    {
        to.Write(step);
        to.Write(apply);
    });

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double> End() => Ask(TrainerCall.End, _ => { }, TrainerCodec.ReadNumbers);

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel) => Ask(
        TrainerCall.Evaluate,
        to =>
        {
            to.Write(heldOut.Count);
            foreach (var batch in heldOut)
                TrainerCodec.Write(to, batch);
        },
        TrainerCodec.ReadNumbers,
        cancel);

    /// <inheritdoc/>
    public WeightsPublication Publish(long epoch, long version, CancellationToken cancel) => Ask(
        TrainerCall.Publish,
        to =>
        {
            to.Write(epoch);
            to.Write(version);
        },
        _ => new WeightsPublication(Model, epoch, version, "", null),
        cancel);

    /// <inheritdoc/>
    public void Export(string folder) => Ask(TrainerCall.Export, to => to.Write(folder));

    /// <inheritdoc/>
    public void Capture(IStateWriter writer)
    {
        Send(TrainerCall.Capture, _ => { });
        while (Next() is var (kind, body) && kind != RoleFrame.Done)
        {
            using var from = TrainerCodec.Open(body);
            if (kind == RoleFrame.Document)
            {
                writer.WriteJson(from.ReadString(), from.ReadString());
                continue;
            }

            var (tensor, type, shape) = TrainerCodec.ReadHead(from);
            writer.WriteTensor(tensor, type, shape, Next().Body);
        }
    }

    /// <inheritdoc/>
    public void Restore(IStateReader reader)
    {
        Send(TrainerCall.Restore, to =>
        {
            to.Write(reader.TensorNames.Count);
            foreach (var tensor in reader.TensorNames)
            {
                var (type, shape) = reader.Describe(tensor);
                TrainerCodec.WriteHead(to, tensor, type, shape);
            }
        });
        while (Next() is var (kind, body) && kind != RoleFrame.Done)
            Answer(reader, kind, body);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        line.Dispose();
        ended();
    }

    private void Answer(IStateReader reader, RoleFrame kind, byte[] body)
    {
        using var from = TrainerCodec.Open(body);
        try
        {
            if (kind == RoleFrame.ReadDocument)
            {
                var document = reader.ReadJson(from.ReadString());
                line.Send(RoleFrame.Document, TrainerCodec.Bytes(to => to.Write(document)));
                return;
            }

            var tensor = from.ReadString();
            var data = GC.AllocateUninitializedArray<byte>(from.ReadInt32());
            reader.ReadTensor(tensor, data);
            line.Send(RoleFrame.Tensor, data);
        }
        catch (UserErrorException error)
        {
            line.Send(RoleFrame.Failed, TrainerCodec.Failure(error));
        }
    }

    private void Ask(TrainerCall call, Action<BinaryWriter> write) => Ask(call, write, _ => true);

    // There is no other way to interrupt a call than to give up its process, and whoever cancels gives up the role too.
    private T Ask<T>(TrainerCall call, Action<BinaryWriter> write, Func<BinaryReader, T> read, CancellationToken cancel = default)
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

    private void Send(TrainerCall call, Action<BinaryWriter> write) => line.Send(RoleFrame.Call, TrainerCodec.Bytes(to =>
    {
        to.Write((byte)call);
        write(to);
    }));

    private (RoleFrame Kind, byte[] Body) Next()
    {
        try
        {
            var frame = line.Receive();
            return frame.Kind == RoleFrame.Failed ? throw TrainerCodec.ReadFailure(frame.Body, name) : frame;
        }
        catch (IOException error)
        {
            throw new IOException($"{name} is gone: {error.Message}", error);
        }
    }
}
