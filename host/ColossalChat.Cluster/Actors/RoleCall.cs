using System.Diagnostics;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>What an actor asks of its role: what to run, and what to do with the answer.</summary>
/// <param name="Batch">The batch it is for.</param>
/// <param name="What">A verb for messages, such as <c>generate</c>.</param>
/// <param name="Body">Runs on the role's thread, under the device lease.</param>
/// <param name="Done">Runs in the actor, with the answer and the time that the body took.</param>
internal sealed record RoleCall<TRole>(
    BatchId Batch, string What, Func<TRole, CancellationToken, object?> Body, Action<object?, TimeSpan> Done) : ICallFacts
{
    /// <summary>Tells one request from another; the same request may come again when its answer was lost.</summary>
    public (BatchId Batch, string What, long Number) Key => (Batch, What, Number);

    /// <summary>Tells apart requests of one kind for one batch, where there are several.</summary>
    public long Number { get; init; }

    /// <inheritdoc/>
    public long Asked { get; } = Stopwatch.GetTimestamp();

    /// <inheritdoc/>
    public CallSize Size { get; init; }

    /// <summary>Hears why the call failed, in place of the run; null when a failure is the run's.</summary>
    public Action<string>? Refused { get; init; }
}

/// <summary>Actor -> worker: run this. Tickets number the attempts of one actor; outcomes of another ticket are late.</summary>
internal sealed record Work<TRole>(long Ticket, Func<TRole, CancellationToken, object?> Body, DeviceTurn Turn, CancellationToken Cancel)
{
    /// <summary>The role and the batch it works on, for whoever writes log lines on its thread.</summary>
    public (string Role, BatchId Batch) Call { get; init; }
}

/// <summary>Worker -> actor: the device is mine, the body runs now.</summary>
internal sealed record WorkStarted(long Ticket);

/// <summary>Worker -> actor: the body returned.</summary>
internal sealed record WorkDone(long Ticket, object? Result, TimeSpan Took);

/// <summary>Worker -> actor: the role or its maker threw.</summary>
internal sealed record WorkFailed(long Ticket, Exception Error);
