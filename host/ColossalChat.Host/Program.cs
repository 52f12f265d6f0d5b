using ColossalChat.Host.Cli;
using ColossalChat.Host.Node;

NativeSettings.Apply();

// The shared pool also runs remoting, heartbeats and timers: it must not start with as few threads as there are cores.
ThreadPool.SetMinThreads(64, 64);
return (int)await HostProgram.RunAsync(args, Console.Out, new ForgivingWriter(Console.Error), isTerminal: !Console.IsErrorRedirected);
