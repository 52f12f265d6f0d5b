using System.Reflection;
using System.Text;
using Akka.Actor;
using ColossalChat.Contracts;
using CsCheck;

namespace ColossalChat.Cluster.Tests;

/// <summary>
/// Values of messages and of all that they hold, made from the constructors and the init properties of their types: what is
/// added to a record is generated, and missed when its codec leaves it out.
/// </summary>
internal sealed class WireSamples(IReadOnlyList<IActorRef> actors)
{
    // What a codec refuses though the type would allow it.
    private static readonly Dictionary<(Type, string), Func<PCG, object>> s_narrow = new()
    {
        [(typeof(Parcel), nameof(Parcel.Manifest))] = pcg => FlowMessages.ByManifest.Keys.Order().Where(name => name != Parcel.OwnManifest).ElementAt(Below(pcg, 5)),
        [(typeof(Parcel), nameof(Parcel.Pieces))] = pcg => Enumerable.Range(0, 1 + Below(pcg, 3))
            .Select(_ => new BlobReference(Text(pcg), 1L + Below(pcg, WireLimits.PieceBytes), Text(pcg)) { Location = Text(pcg) }).ToArray(),
        [(typeof(BlobReference), nameof(BlobReference.Bytes))] = pcg => 1L + Below(pcg, WireLimits.PieceBytes),
    };

    private static readonly Dictionary<Type, Func<PCG, object>> s_leaves = new()
    {
        [typeof(bool)] = pcg => Below(pcg, 2) == 1,
        [typeof(int)] = pcg => (int)Whole(pcg),
        [typeof(long)] = pcg => Whole(pcg),
        [typeof(float)] = pcg => BitConverter.UInt32BitsToSingle(pcg.Next()),
        [typeof(double)] = pcg => Below(pcg, 2) == 0 ? Below(pcg, 1000) / 8.0 : BitConverter.UInt64BitsToDouble(pcg.Next64()),
        [typeof(TimeSpan)] = pcg => new TimeSpan(Whole(pcg)),
        [typeof(DateTimeOffset)] = pcg => new DateTimeOffset((long)pcg.Next64((ulong)DateTimeOffset.MaxValue.Ticks), TimeSpan.Zero),
        [typeof(string)] = Text,
        [typeof(byte[])] = pcg => Enumerable.Range(0, Below(pcg, 20)).Select(_ => (byte)pcg.Next(256)).ToArray(),
    };

    private static readonly MethodInfo s_ragged = typeof(WireSamples).GetMethod(nameof(Ragged), BindingFlags.NonPublic | BindingFlags.Static)!;

    private readonly NullabilityInfoContext _nullability = new();

    /// <summary>Values of a type, at most <paramref name="most"/> entries in each list.</summary>
    public Gen<object> Of(Type type, int most = 4) => new Reflected(this, type, most);

    private static int Below(PCG pcg, int limit) => (int)pcg.Next((uint)limit);

    // All sizes, both signs.
    private static long Whole(PCG pcg) => (long)pcg.Next64() >> Below(pcg, 64);

    private static string Text(PCG pcg)
    {
        var text = new StringBuilder();
        for (var left = Below(pcg, 12); left > 0; left--)
            text.Append(Below(pcg, 5) switch { 0 => "ä", 1 => "😀", 2 => "\0", _ => ((char)('a' + Below(pcg, 26))).ToString() });
        return text.ToString();
    }

    private static Ragged<T> Ragged<T>(PCG pcg, int most)
        where T : unmanaged =>
        Contracts.Ragged.FromRows(Enumerable.Range(0, Below(pcg, most + 1)).Select(_ =>
            Enumerable.Range(0, Below(pcg, 4 * most)).Select(_ => (T)s_leaves[typeof(T)](pcg)).ToArray()));

    private object Make(Type type, PCG pcg, int most, ref ulong size)
    {
        size++;
        if (s_leaves.TryGetValue(type, out var leaf))
            return leaf(pcg);
        if (type == typeof(IActorRef))
            return actors[Below(pcg, actors.Count)];
        if (type.IsEnum)
            return Enum.GetValues(type).GetValue(Below(pcg, Enum.GetValues(type).Length))!;
        if (Nullable.GetUnderlyingType(type) is { } inner)
            return Make(inner, pcg, most, ref size);
        if (!type.IsGenericType)
            return MakeRecord(type, pcg, most, ref size);
        var arguments = type.GetGenericArguments();
        return type.GetGenericTypeDefinition() switch
        {
            var t when t == typeof(Ragged<>) => s_ragged.MakeGenericMethod(arguments).Invoke(null, [pcg, most])!,
            var t when t == typeof(IReadOnlyList<>) => MakeList(arguments[0], pcg, most, ref size),
            var t when t == typeof(IReadOnlyDictionary<,>) => MakeDictionary(arguments, pcg, most, ref size),
            _ => throw new NotSupportedException($"No generator for {type}; add one here."),
        };
    }

    private Array MakeList(Type element, PCG pcg, int most, ref ulong size)
    {
        var list = Array.CreateInstance(element, Below(pcg, most + 1));
        for (var i = 0; i < list.Length; i++)
            list.SetValue(Make(element, pcg, most, ref size), i);
        return list;
    }

    private object MakeDictionary(Type[] arguments, PCG pcg, int most, ref ulong size)
    {
        var dictionary = (System.Collections.IDictionary)Activator.CreateInstance(typeof(Dictionary<,>).MakeGenericType(arguments))!;
        for (var left = Below(pcg, most + 1); left > 0; left--)
            dictionary[Make(arguments[0], pcg, most, ref size)] = Make(arguments[1], pcg, most, ref size);
        return dictionary;
    }

    private object MakeRecord(Type type, PCG pcg, int most, ref ulong size)
    {
        var constructor = type.GetConstructors().MaxBy(constructor => constructor.GetParameters().Length)
            ?? throw new NotSupportedException($"{type} has no public constructor; write a generator for it here.");
        var parameters = constructor.GetParameters();
        var values = new object?[parameters.Length];
        for (var i = 0; i < values.Length; i++)
            values[i] = MakeMember(type, parameters[i].Name!, parameters[i].ParameterType, _nullability.Create(parameters[i]), pcg, most, ref size);
        var made = constructor.Invoke(values);
        foreach (var property in type.GetProperties().Where(property => property.CanWrite && parameters.All(parameter => parameter.Name != property.Name)))
            property.SetValue(made, MakeMember(type, property.Name, property.PropertyType, _nullability.Create(property), pcg, most, ref size));
        return made;
    }

    private object? MakeMember(Type owner, string name, Type type, NullabilityInfo nullability, PCG pcg, int most, ref ulong size)
    {
        if (nullability.WriteState == NullabilityState.Nullable && Below(pcg, 3) == 0)
            return null;
        return s_narrow.TryGetValue((owner, name), out var narrow) ? narrow(pcg) : Make(type, pcg, most, ref size);
    }

    private sealed class Reflected(WireSamples samples, Type type, int most) : Gen<object>
    {
        public override object Generate(PCG pcg, Size? min, out Size size)
        {
            var made = 0UL;
            object value;

            // Its cache is not for several threads.
            lock (samples._nullability)
                value = samples.Make(type, pcg, most, ref made);
            size = new Size(made);
            return value;
        }
    }
}
