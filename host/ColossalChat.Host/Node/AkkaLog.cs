using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Dispatch;
using Akka.Event;
using ColossalChat.Cluster;
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

    // A role's actor is named like its slot, wherever it is hosted: .../iteration-1/rollout, .../rollout.2, .../trainers.policy@1.
    private static string? RoleOf(string source) =>
        source.Split('/').Select(part => part.Split('#', ']')[0]).FirstOrDefault(part => s_roles.Contains(part.Split('.')[0]));

    private static readonly string[] s_roles = ["prompts", "experience", "batches", "trainers", .. ClusterOptions.RoleNames];

    private const string RunActors = "/user/run-";

    private static string Cause(Exception? cause) => cause is null ? "" : $" ({cause.GetType().Name}: {cause.Message})";

    private static string Text(LogEvent line) => $"{line.Message} [{line.LogSource}]";
}
