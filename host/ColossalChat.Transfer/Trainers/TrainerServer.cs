using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>The other end of a <see cref="RemoteTrainer"/>: carries out its calls on a role of this process.</summary>
internal sealed class TrainerServer(RoleLine line, Func<CancellationToken, ITrainerRole> make, CapturedStates states)
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(50);
    private ITrainerRole? _role;

    /// <summary>Serves until the caller goes away, then disposes the role.</summary>
    /// <returns>False when it went away without a call.</returns>
    public bool Run()
    {
        var isCalled = false;
        for (; Next() is { } body; isCalled = true)
            Serve(body);
        _role?.Dispose();
        return isCalled;
    }

    // Null when the caller is done with this rank, or dead: either way there is nothing left to do.
    private byte[]? Next()
    {
        try
        {
            return line.Receive().Body;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private void Serve(byte[] body)
    {
        using var from = TrainerCodec.Open(body);
        try
        {
            line.Send(RoleFrame.Done, Watched(cancel => Call((TrainerCall)from.ReadByte(), from, cancel)));
        }
        catch (Exception error)
        {
            // With nobody there to hear it the next wait ends the service.
            if (line.BrokenBy is null)
                Tell(error);
        }
    }

    private void Tell(Exception error)
    {
        try
        {
            line.Send(RoleFrame.Failed, TrainerCodec.Failure(error));
        }
        catch (IOException)
        {
            return; // It went away meanwhile.
        }
    }

    // The caller's end is the only sign that a call is to stop.
    private byte[] Watched(Func<CancellationToken, byte[]> call)
    {
        using var cancel = new CancellationTokenSource();
        using var watch = new Timer(_ => CancelIfBroken(cancel), null, s_look, s_look);
        return call(cancel.Token);
    }

    private void CancelIfBroken(CancellationTokenSource cancel)
    {
        if (line.BrokenBy is null)
            return;
        try
        {
            cancel.Cancel();
        }
        catch (ObjectDisposedException)
        {
            return; // The call ended in this very moment.
        }
    }

    private byte[] Call(TrainerCall call, BinaryReader from, CancellationToken cancel)
    {
        var role = _role ??= make(cancel);
        switch (call)
        {
            case TrainerCall.Open:
                return [];
            case TrainerCall.Begin:
                var steps = role.Begin(TrainerCodec.ReadRequest(from));
                return TrainerCodec.Bytes(to => to.Write(steps));
            case TrainerCall.Compute:
                var isFinite = role.Compute(from.ReadInt32(), cancel);
                return TrainerCodec.Bytes(to => to.Write(isFinite));
            case TrainerCall.Finish:
                role.Finish(from.ReadInt32(), from.ReadBoolean());
                return [];
            case TrainerCall.End:
                return Numbers(role.End());
            case TrainerCall.Evaluate:
                var heldOut = new Experience[from.ReadInt32()];
                for (var i = 0; i < heldOut.Length; i++)
                    heldOut[i] = TrainerCodec.ReadExperience(from);
                return Numbers(role.Evaluate(heldOut, cancel));
            case TrainerCall.Publish:
                _ = role.Publish(from.ReadInt64(), from.ReadInt64(), cancel);
                return [];
            case TrainerCall.Export:
                role.Export(from.ReadString());
                return [];
            case TrainerCall.Capture:
                return Capture(role, CaptureRequest.ReadFrom(from));
            case TrainerCall.Restore:
                role.Restore(new LineReader(line, from));
                return [];
            default:
                throw new InvalidOperationException($"There is no trainer call {(byte)call}; both processes must be of one version.");
        }
    }

    private byte[] Capture(ITrainerRole role, CaptureRequest request)
    {
        states.KeepOnly(request.InUse.Append(request.Id).ToHashSet());
        var state = states.For(request.Id, request.NewFiles);
        state.Begin();
        role.Capture(state);
        state.End();
        return TrainerCodec.Bytes(state.WriteIndex);
    }

    private static byte[] Numbers(IReadOnlyDictionary<string, double> numbers) => TrainerCodec.Bytes(to => TrainerCodec.Write(to, numbers));

    private sealed class LineReader : IStateReader
    {
        private readonly RoleLine _line;
        private readonly Dictionary<string, (ElementType Type, long[] Shape)> _heads = [];

        public LineReader(RoleLine line, BinaryReader index)
        {
            _line = line;
            for (var left = index.ReadInt32(); left > 0; left--)
            {
                var (name, type, shape) = TrainerCodec.ReadHead(index);
                _heads[name] = (type, shape);
            }
        }

        public IReadOnlyList<string> TensorNames => [.. _heads.Keys];

        public (ElementType Type, long[] Shape) Describe(string name) => _heads.TryGetValue(name, out var head)
            ? head
            : throw new UserErrorException($"The saved state has no tensor '{name}'; was it saved with another model or plugin version?");

        public void ReadTensor(string name, Span<byte> destination)
        {
            var length = destination.Length;
            Ask(RoleFrame.ReadTensor, to =>
            {
                to.Write(name);
                to.Write(length);
            }).CopyTo(destination);
        }

        public string ReadJson(string name)
        {
            using var from = TrainerCodec.Open(Ask(RoleFrame.ReadDocument, to => to.Write(name)));
            return from.ReadString();
        }

        private byte[] Ask(RoleFrame kind, Action<BinaryWriter> write)
        {
            _line.Send(kind, TrainerCodec.Bytes(write));
            var (answer, body) = _line.Receive();
            return answer == RoleFrame.Failed ? throw TrainerCodec.ReadFailure(body, "The checkpoint") : body;
        }
    }
}
