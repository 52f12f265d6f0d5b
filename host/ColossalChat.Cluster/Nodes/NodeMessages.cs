using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

// What the coordinator and the nodes of a run say to each other. The flow itself is in Flow.cs.

/// <summary>Who a node is.</summary>
/// <param name="Name">Unique among the processes of a run; a process that is started again has another name.</param>
/// <param name="Roles">What it may host, such as <c>rollout</c> or <c>trainer</c>.</param>
/// <param name="Machine">Nodes of one machine share memory.</param>
/// <param name="Host">Under which other machines reach it.</param>
/// <param name="MeetPort">A port, free when it answered, where ranks can meet when it has rank 0.</param>
/// <param name="Fingerprint">Of configuration, program and plugins; nodes of one run have the same.</param>
/// <param name="Versions">What the fingerprint is made of, by name; tells what differs.</param>
/// <param name="Clock">Its clock when it answered, UTC.</param>
public sealed record NodeCard(
    string Name,
    IReadOnlyList<string> Roles,
    string Machine,
    string Host,
    int MeetPort,
    string Fingerprint,
    IReadOnlyDictionary<string, string> Versions,
    DateTimeOffset Clock)
{
    /// <summary>What tells the node from another, such as <c>program is 1.0 there and 1.1 here</c>; empty when nothing does.</summary>
    /// <param name="here">The other's <see cref="Versions"/>.</param>
    /// <param name="exchanged">Plugins of which all nodes use what the run's folder has, whatever they were started with.</param>
    public string DifferencesTo(IReadOnlyDictionary<string, string> here, params IEnumerable<string> exchanged)
    {
        var names = here.Keys.Union(Versions.Keys).Except(exchanged.Select(KeyOf)).Order(StringComparer.Ordinal).Where(name => here.GetValueOrDefault(name) != Versions.GetValueOrDefault(name));
        return string.Join("; ", names.Select(name => $"{name} is {Versions.GetValueOrDefault(name, "missing")} there and {here.GetValueOrDefault(name, "missing")} here"));
    }

    /// <summary>Key of a plugin's version.</summary>
    public static string KeyOf(string plugin) => $"plugin {plugin}";
}

/// <summary>MembersActor -> NodeActor: who are you?</summary>
public sealed record DescribeNode : IWireMessage;

/// <summary>NodeActor -> MembersActor: this is who I am and what I do.</summary>
/// <param name="Card">Who.</param>
/// <param name="Hosted">Slots whose roles run there, with the number of calls that wait.</param>
/// <param name="Uid">Of its actor system: a process that was started again at the same address is no member yet.</param>
public sealed record NodeDescribed(NodeCard Card, IReadOnlyDictionary<string, double> Hosted, int Uid) : IWireMessage;

/// <summary>IterationActor -> NodeActor: host this role; its actor tells the iteration actor when it is open.</summary>
/// <param name="Epoch">Attempt of the run. Roles of an older one end first; requests of an older one are ignored.</param>
/// <param name="Slot">Such as <c>rollout.2</c>.</param>
/// <param name="Checkpoint">Folder of the checkpoint that the attempt goes on from; empty at the beginning.</param>
/// <param name="Meet">Address where trainer ranks meet; empty when there is only one.</param>
/// <param name="Run">The run's supervisor.</param>
/// <param name="Iteration">Who leads the attempt.</param>
/// <param name="Plugins">Versions that the run exchanged: the node uses them before it makes the role.</param>
public sealed record HostRole(
    long Epoch, string Slot, string Checkpoint, string Meet, IActorRef Run, IActorRef Iteration, IReadOnlyList<PluginCopy> Plugins) : IWireMessage;

/// <summary>RunActor -> NodeActor: the role is not needed there any more.</summary>
public sealed record EndRole(long Epoch, string Slot) : IWireMessage;

/// <summary>RunActor -> NodeActor: the attempt is over; its roles end.</summary>
public sealed record EndEpoch(long Epoch) : IWireMessage;

/// <summary>NodeActor -> RunActor, and MembersActor each time that it asks: I want to go; take my roles away.</summary>
public sealed record NodeLeaving(string Node) : IWireMessage;

/// <summary>RunActor -> NodeActor: nothing of the run needs you any more. Also asks a node to go.</summary>
public sealed record LeaveNow : IWireMessage;

/// <summary>RunActor -> NodeActor: the run has ended.</summary>
public sealed record RunOver(ExitCode ExitCode, string Message) : IWireMessage;

// ---- State of roles on nodes ----

/// <summary>IterationActor -> stateful role on a node, between iterations: keep a copy of your state.</summary>
/// <param name="Iteration">Last finished one.</param>
/// <param name="Number">Counts the copies of an attempt.</param>
public sealed record CaptureShard(long Iteration, long Number) : IWireMessage;

/// <summary>Stateful role on a node -> IterationActor: it is kept; this is what it holds.</summary>
public sealed record ShardCaptured(
    long Iteration, long Number, string Slot, IReadOnlyList<KeptTensor> Tensors, IReadOnlyDictionary<string, string> Documents, IActorRef Keeper) : IWireMessage;

/// <summary>CheckpointActor -> keeper: write the copy's files to storage that both see.</summary>
/// <param name="Number">Which copy.</param>
/// <param name="DataFile">Gets the bytes of all tensors.</param>
/// <param name="IndexFile">Tells what lies where in the data file. The keeper makes it: it grows with the tensors, and is the larger part of many.</param>
/// <param name="IndexHash">The index has it in both processes.</param>
public sealed record WriteShard(long Number, string DataFile, string IndexFile, string IndexHash) : IWireMessage;

/// <summary>Keeper -> CheckpointActor: they are on the disk.</summary>
public sealed record ShardWritten(long Number, WrittenFile File) : IWireMessage;

/// <summary>Keeper -> CheckpointActor: they could not be written.</summary>
public sealed record ShardNotWritten(long Number, string Reason) : IWireMessage;
