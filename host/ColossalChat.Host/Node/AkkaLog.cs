using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Dispatch;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Host.Node;

/// <summary>Hands the node's log to <see cref="AkkaLog"/>, which Akka makes by itself.</summary>
internal sealed class AkkaLogSetup(INodeLog log) : Setup
{
    public INodeLog Log { get; } = log;
}

/// <summary>Akka's log lines go to the node's log: standard output belongs to results.</summary>
internal sealed class AkkaLog : ReceiveActor, IRequiresMessageQueue<ILoggerMessageQueueSemantics>
{
    public AkkaLog()
    {
        var log = Context.System.Settings.Setup.Get<AkkaLogSetup>() is { HasValue: true } setup ? setup.Value.Log : SilentLog.Instance;
        Receive<InitializeLogger>(_ => Sender.Tell(new LoggerInitialized()));
        Receive<Error>(line =>
        {
            // What fails in a run is told by the run itself, in one sentence at its end; this is where it happened.
            if (line.LogSource.Contains(RunActors, StringComparison.Ordinal))
                Write(log, "DEBUG", $"error: {Text(line)}\n{line.Cause}", line);
            else
                Write(log, "ERROR", Text(line) + Cause(line.Cause), line);
        });
        Receive<Warning>(line => Write(log, "WARNING", Text(line) + Cause(line.Cause), line));
        Receive<LogEvent>(line => Write(log, "DEBUG", Text(line), line));
    }

    private static void Write(INodeLog log, string level, string text, LogEvent line)
    {
        if (log is NodeLog node)
            node.Write(level, text, (RoleOf(line.LogSource), BatchOf(line.Message)));
        else if (level == "ERROR")
            log.Error(text);
        else if (level == "WARNING")
            log.Warning(text);
        else
            log.Debug(text);
    }

    // Actors of a run name the batch they speak of first.
    private static string? BatchOf(object message) =>
        message is LogMessage line ? line.Parameters().OfType<BatchId>().Select(batch => batch.ToString()).FirstOrDefault() : null;

    // A role's actor is named like its slot: .../run-N/iteration-1/rollout.
    private static string? RoleOf(string source)
    {
        var path = source.Split('/');
        var attempt = Array.FindIndex(path, part => part.StartsWith("iteration-", StringComparison.Ordinal));
        return attempt >= 0 && attempt + 1 < path.Length ? path[attempt + 1].Split('#', ']')[0] : null;
    }

    private const string RunActors = "/user/run-";

    private static string Cause(Exception? cause) => cause is null ? "" : $" ({cause.GetType().Name}: {cause.Message})";

    private static string Text(LogEvent line) => $"{line.Message} [{line.LogSource}]";
}
