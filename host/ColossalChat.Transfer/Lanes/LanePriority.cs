using System.Runtime.InteropServices;

namespace ColossalChat.Transfer;

/// <summary>
/// Threads that move blocks give way to those that move messages. Thread.Priority does nothing on Linux, where a thread's
/// nice value does.
/// </summary>
internal static partial class LanePriority
{
    private const int Thread = 0;
    private const int Nicer = 5;

    /// <summary>A thread that gives way, started.</summary>
    public static Thread Start(string name, Action work)
    {
        const int stack = 1 << 18;
        var thread = new Thread(
            () =>
            {
                Lower();
                work();
            },
            stack) { IsBackground = true, Name = name, Priority = ThreadPriority.BelowNormal };
        thread.Start();
        return thread;
    }

    private static void Lower()
    {
        // 0 names the calling thread. A refusal changes nothing but the order among threads.
        if (OperatingSystem.IsLinux())
            _ = SetPriority(Thread, 0, Nicer);
    }

    [LibraryImport("libc", EntryPoint = "setpriority")]
    private static partial int SetPriority(int which, uint who, int value);
}
