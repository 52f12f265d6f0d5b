using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>A trainer rank that computes in another process: every call goes there and waits for its answer.</summary>
/// <param name="model">Name of the model it trains.</param>
/// <param name="calls">To the other process, where the role has been made; closed with this.</param>
/// <param name="shards">To the other process, which writes its states; given up with this.</param>
/// <param name="folder">Takes of its states what is too much for memory.</param>
internal sealed class RemoteTrainer(string model, CallLine calls, ShardLine shards, string folder) : ITrainerRole
{
    private readonly RankStates _states = new(calls, shards, folder);

    /// <inheritdoc/>
    public string Model { get; } = model;

    /// <inheritdoc/>
    public int Begin(TrainRequest request) =>
        calls.Ask(TrainerCall.Begin, to => TrainerCodec.Write(to, request), from => from.ReadInt32());

    /// <inheritdoc/>
    public bool Compute(int step, CancellationToken cancel) =>
        calls.Ask(TrainerCall.Compute, to => to.Write(step), from => from.ReadBoolean(), cancel);

    /// <inheritdoc/>
    public void Finish(int step, bool apply) => calls.Ask(TrainerCall.Finish, to =>
    {
        to.Write(step);
        to.Write(apply);
    });

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double> End() => calls.Ask(TrainerCall.End, _ => { }, TrainerCodec.ReadNumbers);

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel) => calls.Ask(
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
    public WeightsPublication Publish(long epoch, long version, CancellationToken cancel) => calls.Ask(
        TrainerCall.Publish,
        to =>
        {
            to.Write(epoch);
            to.Write(version);
        },
        _ => new WeightsPublication(Model, epoch, version, "", null),
        cancel);

    /// <inheritdoc/>
    public void Export(string folder) => calls.Ask(TrainerCall.Export, to => to.Write(folder));

    /// <inheritdoc/>
    public void Capture(IStateWriter writer) => _states.Capture(writer);

    /// <inheritdoc/>
    public void Restore(IStateReader reader)
    {
        calls.Send(TrainerCall.Restore, to =>
        {
            to.Write(reader.TensorNames.Count);
            foreach (var tensor in reader.TensorNames)
            {
                var (type, shape) = reader.Describe(tensor);
                TrainerCodec.WriteHead(to, tensor, type, shape);
            }
        });
        while (calls.Next() is var (kind, body) && kind != RoleFrame.Done)
            Answer(reader, kind, body);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        calls.Dispose();
        shards.GiveUp();
    }

    private void Answer(IStateReader reader, RoleFrame kind, byte[] body)
    {
        using var from = TrainerCodec.Open(body);
        try
        {
            if (kind == RoleFrame.ReadDocument)
            {
                var document = reader.ReadJson(from.ReadString());
                calls.Send(RoleFrame.Document, TrainerCodec.Bytes(to => to.Write(document)));
                return;
            }

            var tensor = from.ReadString();
            var data = GC.AllocateUninitializedArray<byte>(from.ReadInt32());
            reader.ReadTensor(tensor, data);
            calls.Send(RoleFrame.Tensor, data);
        }
        catch (UserErrorException error)
        {
            calls.Send(RoleFrame.Failed, TrainerCodec.Failure(error));
        }
    }
}
