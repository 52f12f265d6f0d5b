using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

// The messages of a plugin's exchange, in the order they are sent. Steps number what one swap asks and are never used again
// in an attempt: an answer to an older question is known as late, and a question that comes again, because it or its answer
// may have been lost between nodes, is answered again and carried out once.

/// <summary>ControlActor -> SwapDesk: exchange this plugin.</summary>
internal sealed record SwapAsked(SwapRequest Request);

/// <summary>RunActor -> SwapDesk: who takes part in exchanges from now on, by the node's name; empty for the only process of a run.</summary>
internal sealed record NodesKnown(IReadOnlyDictionary<string, IActorRef> Nodes);

/// <summary>SwapDesk, and at the boundary SwapActor -> every ExchangeActor: load the candidate, unless you have it.</summary>
internal sealed record PrepareSwap(SwapRequest Request, int Step) : IWireMessage, IAskedOfNode
{
    /// <summary>The step of all that the SwapDesk asks; it has no order.</summary>
    public const int OfDesk = 0;

    string IAskedOfNode.Id => Request.Id;
}

/// <summary>ExchangeActor -> whoever asked: it is loaded, or why not.</summary>
internal sealed record SwapPrepared(string Id, int Step, string Node, SwapOffer? Offer, string Refusal) : IWireMessage;

/// <summary>SwapDesk -> RunActor -> IterationActor: exchange it after the running iteration.</summary>
/// <param name="Offer">The candidate.</param>
/// <param name="Request">How a node gets it that came since.</param>
internal sealed record SwapReady(SwapOffer Offer, SwapRequest Request);

/// <summary>IterationActor -> RunActor: from now on the exchange is under way, and no role comes or goes.</summary>
internal sealed record SwapBegun(long Epoch, string Id);

/// <summary>RunActor -> IterationActor: these nodes take part in it.</summary>
internal sealed record SwapMembers(IReadOnlyDictionary<string, IActorRef> Nodes)
{
    /// <summary>The others: this one is gone.</summary>
    public SwapMembers Without(string node) => new(Nodes.Where(other => other.Key != node).ToDictionary());
}

/// <summary>RunActor -> IterationActor -> SwapActor: a node that hosts no role is gone, perhaps before the exchange began; do not wait for it.</summary>
internal sealed record MemberLost(string Node);

/// <summary>SwapActor -> every ExchangeActor: who uses the plugin?</summary>
internal sealed record FindUsers(string Id, int Step) : IWireMessage, IAskedOfNode;

/// <summary>ExchangeActor -> SwapActor: those roles of my node; <c>Error</c> is empty unless it does not know the exchange.</summary>
internal sealed record UsersFound(int Step, string Node, IReadOnlyList<string> Slots, string Error) : IWireMessage;

/// <summary>SwapActor -> role actors: dispose your role, and make no other before you are told.</summary>
internal sealed record CloseRole(int Step) : IWireMessage;

/// <summary>Role actor -> SwapActor: there is no role any more; a lost one did not return, and keeps its thread.</summary>
internal sealed record RoleClosed(int Step, string Role, bool IsLost) : IWireMessage;

/// <summary>SwapActor -> every ExchangeActor: use the candidate, or the old one again, from now on.</summary>
internal sealed record SwitchPlugin(string Id, int Step, bool IsBack) : IWireMessage, IAskedOfNode;

/// <summary>ExchangeActor -> SwapActor: done; <c>Error</c> is empty unless it could not be switched.</summary>
internal sealed record PluginSwitched(int Step, string Node, string Error) : IWireMessage;

/// <summary>SwapActor -> role actors: make a role, give it this state and the newest weights.</summary>
/// <param name="Step">Which question.</param>
/// <param name="Formation">Number under which the ranks of a group meet.</param>
/// <param name="State">The run's state.</param>
/// <param name="IsTrial">True while a failure is no failure of the run.</param>
internal sealed record OpenRole(int Step, long Formation, RunState State, bool IsTrial);

/// <summary>The same where roles are on several nodes: each reads its state from the checkpoint of this iteration.</summary>
internal sealed record OpenSavedRole(int Step, long Formation, long Iteration, string Checkpoint, bool IsTrial) : IWireMessage;

/// <summary>SwapActor -> role actors: answer the last batch that you had once more; what you answer goes nowhere.</summary>
internal sealed record VerifyRole(int Step) : IWireMessage;

/// <summary>Role actor -> SwapActor: done.</summary>
internal sealed record RoleReady(int Step, string Role) : IWireMessage;

/// <summary>Role actor -> SwapActor: the role threw, did not return in time or broke a promise.</summary>
internal sealed record RoleRefused(int Step, string Role, string Reason) : IWireMessage;

/// <summary>SwapActor -> IterationActor: trainers of these models were made anew; have all publish their weights again.</summary>
internal sealed record PublishAgain(int Step, IReadOnlyList<string> Models);

/// <summary>IterationActor -> SwapActor: all readers have them.</summary>
internal sealed record WeightsSpread(int Step);

/// <summary>SwapActor -> RunActor -> SwapDesk: it stood its trial; write down that it stays. From then on nothing brings the old one back.</summary>
internal sealed record RecordSwap(string Id, int Step, long Iteration);

/// <summary>SwapDesk -> RunActor and SwapActor: it is written, or why not.</summary>
internal sealed record SwapRecorded(int Step, string Error);

/// <summary>SwapActor -> every ExchangeActor: the candidate stays.</summary>
internal sealed record CommitSwap(string Id, int Step) : IWireMessage, IAskedOfNode;

/// <summary>ExchangeActor -> SwapActor: done.</summary>
internal sealed record SwapCommitted(int Step, string Node, string Advice) : IWireMessage;

/// <summary>SwapActor -> IterationActor -> RunActor -> SwapDesk: how it ended.</summary>
internal sealed record SwapEnded(long Epoch, string Id, ExitCode ExitCode, string Message);

/// <summary>ExchangeActor, SwapDesk -> RunActor, from a node that hosts no role through the SwapDesk: something to note.</summary>
internal sealed record ExchangeNoted(string Kind, string Message) : IWireMessage;

/// <summary>Asked of a node as a whole: its NodeActor gives it to its ExchangeActor.</summary>
internal interface IAskedOfNode
{
    /// <summary>The exchange.</summary>
    string Id { get; }

    /// <summary>Which question of it.</summary>
    int Step { get; }
}

/// <summary>RunActor -> NodeActor of the same process: once all roles here have ended, use these versions.</summary>
internal sealed record UsePlugins(IReadOnlyList<PluginCopy> Versions);

/// <summary>NodeActor -> RunActor: done, or why not.</summary>
internal sealed record PluginsUsed(ExitCode ExitCode, string Error)
{
    /// <summary>They are used.</summary>
    public static readonly PluginsUsed Done = new(ExitCode.Ok, "");
}
