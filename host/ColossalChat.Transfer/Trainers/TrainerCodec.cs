using System.Runtime.InteropServices;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Calls of <see cref="ITrainerRole"/>, and its making.</summary>
internal enum TrainerCall : byte
{
    Open,
    Begin,
    Compute,
    Finish,
    End,
    Evaluate,
    Publish,
    Export,
    Capture,
    Restore,
}

/// <summary>Arguments and results of trainer calls as bytes, little-endian; arrays as they lie in memory.</summary>
internal static class TrainerCodec
{
    /// <summary>Bytes that <paramref name="write"/> writes.</summary>
    public static byte[] Bytes(Action<BinaryWriter> write)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        write(writer);
        writer.Flush();
        return stream.ToArray();
    }

    /// <summary>Reads what <see cref="Bytes"/> made.</summary>
    public static BinaryReader Open(byte[] bytes) => new(new MemoryStream(bytes, writable: false));

    public static void Write(BinaryWriter to, TrainRequest request)
    {
        to.Write(request.Iteration);
        to.Write(request.Iterations);
        to.Write(request.MostRows);
        to.Write(request.GroupTargetTokens);
        Write(to, request.Experience);
    }

    public static TrainRequest ReadRequest(BinaryReader from)
    {
        var (iteration, iterations, mostRows, targets) = (from.ReadInt64(), from.ReadInt64(), from.ReadInt32(), from.ReadInt64());
        return new TrainRequest(iteration, iterations, ReadExperience(from)) { MostRows = mostRows, GroupTargetTokens = targets };
    }

    public static void Write(BinaryWriter to, Experience experience)
    {
        Write(to, experience.Tokens);
        Write(to, experience.IsTarget);
        to.Write(experience.Columns.Count);
        foreach (var (name, column) in experience.Columns)
        {
            to.Write(name);
            Write(to, column);
        }
    }

    public static Experience ReadExperience(BinaryReader from)
    {
        var (tokens, isTarget) = (ReadRagged<int>(from), ReadRagged<bool>(from));
        var columns = new Dictionary<string, Ragged<float>>();
        for (var left = from.ReadInt32(); left > 0; left--)
        {
            var name = from.ReadString();
            columns[name] = ReadRagged<float>(from);
        }

        return new Experience(tokens, isTarget, columns);
    }

    public static void Write(BinaryWriter to, IReadOnlyDictionary<string, double> numbers)
    {
        to.Write(numbers.Count);
        foreach (var (name, value) in numbers)
        {
            to.Write(name);
            to.Write(value);
        }
    }

    public static Dictionary<string, double> ReadNumbers(BinaryReader from)
    {
        var numbers = new Dictionary<string, double>();
        for (var left = from.ReadInt32(); left > 0; left--)
        {
            var name = from.ReadString();
            numbers[name] = from.ReadDouble();
        }

        return numbers;
    }

    public static void WriteHead(BinaryWriter to, string name, ElementType type, ReadOnlySpan<long> shape)
    {
        to.Write(name);
        to.Write((byte)type);
        WriteArray(to, shape);
    }

    public static (string Name, ElementType Type, long[] Shape) ReadHead(BinaryReader from) =>
        (from.ReadString(), (ElementType)from.ReadByte(), ReadArray<long>(from));

    public static byte[] Failure(Exception error) => Bytes(to =>
    {
        to.Write(error is UserErrorException user ? (int)user.ExitCode : -1);
        to.Write(error.GetType().Name);
        to.Write(error.Message);
    });

    /// <summary>The failure of the other side, as far as it can be told from this one.</summary>
    public static Exception ReadFailure(byte[] body, string where)
    {
        using var from = Open(body);
        var (code, type, message) = (from.ReadInt32(), from.ReadString(), from.ReadString());
        return code >= 0
            ? new UserErrorException(message, (ExitCode)code)
            : type == nameof(OperationCanceledException) ? new OperationCanceledException(message) : new RankFailedException($"{where}: {type}: {message}");
    }

    private static void Write<T>(BinaryWriter to, Ragged<T> rows)
        where T : unmanaged
    {
        WriteArray(to, rows.Offsets.Span);
        WriteArray(to, rows.Values.Span);
    }

    private static Ragged<T> ReadRagged<T>(BinaryReader from)
        where T : unmanaged
    {
        var offsets = ReadArray<int>(from);
        return new Ragged<T>(offsets, ReadArray<T>(from));
    }

    private static void WriteArray<T>(BinaryWriter to, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        to.Write(values.Length);
        to.Write(MemoryMarshal.AsBytes(values));
    }

    private static T[] ReadArray<T>(BinaryReader from)
        where T : unmanaged
    {
        var values = new T[from.ReadInt32()];
        from.BaseStream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
