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
                log.Debug($"error: {Text(line)}\n{line.Cause}");
            else
                log.Error(Text(line) + Cause(line.Cause));
        });
        Receive<Warning>(line => log.Warning(Text(line) + Cause(line.Cause)));
        Receive<LogEvent>(line => log.Debug(Text(line)));
    }

    private const string RunActors = "/user/run-";

    private static string Cause(Exception? cause) => cause is null ? "" : $" ({cause.GetType().Name}: {cause.Message})";

    private static string Text(LogEvent line) => $"{line.Message} [{line.LogSource}]";
}
