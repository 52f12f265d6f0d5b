using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

// The messages of a plugin's exchange, in the order they are sent. Steps number what one swap asks, so that an answer to
// an older question is known as late.

/// <summary>ControlActor or ExchangeActor -> SwapDesk: exchange this plugin.</summary>
internal sealed record SwapAsked(SwapRequest Request);

/// <summary>SwapDesk -> every ExchangeActor: load the candidate.</summary>
internal sealed record PrepareSwap(SwapRequest Request);

/// <summary>ExchangeActor -> SwapDesk: it is loaded, or why not.</summary>
internal sealed record SwapPrepared(string Id, SwapOffer? Offer, string Refusal);

/// <summary>SwapDesk -> RunActor -> IterationActor: exchange it after the running iteration.</summary>
internal sealed record SwapReady(SwapOffer Offer, IReadOnlyList<IActorRef> Exchanges);

/// <summary>IterationActor -> RunActor: from now on the exchange is under way.</summary>
internal sealed record SwapBegun(long Epoch, string Id);

/// <summary>SwapActor -> every ExchangeActor: who uses the plugin?</summary>
internal sealed record FindUsers(string Id, int Step);

/// <summary>ExchangeActor -> SwapActor: those roles of my node.</summary>
internal sealed record UsersFound(int Step, IReadOnlyList<string> Slots);

/// <summary>SwapActor -> role actors: dispose your role, and make no other before you are told.</summary>
internal sealed record CloseRole(int Step);

/// <summary>Role actor -> SwapActor: there is no role any more; a lost one did not return, and keeps its thread.</summary>
internal sealed record RoleClosed(int Step, string Role, bool IsLost);

/// <summary>SwapActor -> every ExchangeActor: use the candidate, or the old one again, from now on.</summary>
internal sealed record SwitchPlugin(string Id, int Step, bool IsBack);

/// <summary>ExchangeActor -> SwapActor: done; <c>Error</c> is empty unless the candidate could not be switched to.</summary>
internal sealed record PluginSwitched(int Step, string Error);

/// <summary>SwapActor -> role actors: make a role, give it this state and the newest weights.</summary>
/// <param name="Step">Which question.</param>
/// <param name="Formation">Number under which the ranks of a group meet.</param>
/// <param name="State">The run's state.</param>
/// <param name="IsTrial">True while a failure is no failure of the run.</param>
internal sealed record OpenRole(int Step, long Formation, RunState State, bool IsTrial);

/// <summary>SwapActor -> role actors: answer the last batch that you had once more; what you answer goes nowhere.</summary>
internal sealed record VerifyRole(int Step);

/// <summary>Role actor -> SwapActor: done.</summary>
internal sealed record RoleReady(int Step, string Role);

/// <summary>Role actor -> SwapActor: the role threw, did not return in time or broke a promise.</summary>
internal sealed record RoleRefused(int Step, string Role, string Reason);

/// <summary>SwapActor -> IterationActor: trainers were made anew; have them publish their weights again.</summary>
internal sealed record PublishAgain(int Step);

/// <summary>IterationActor -> SwapActor: all readers have them.</summary>
internal sealed record WeightsSpread(int Step);

/// <summary>SwapActor -> every ExchangeActor: the candidate stays.</summary>
internal sealed record CommitSwap(string Id, int Step, long Iteration);

/// <summary>ExchangeActor -> SwapActor: done.</summary>
internal sealed record SwapCommitted(int Step, string Advice);

/// <summary>SwapActor -> IterationActor -> RunActor -> SwapDesk: how it ended.</summary>
internal sealed record SwapEnded(long Epoch, string Id, ExitCode ExitCode, string Message);

/// <summary>ExchangeActor -> SwapDesk -> RunActor: something to note.</summary>
internal sealed record ExchangeNoted(string Kind, string Message);
