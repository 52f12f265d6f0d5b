using System.Runtime.InteropServices;

namespace ColossalChat.Zero;

/// <summary>
/// Sleep until another process changes a word of shared memory: the kernel's futex where there is one, else short naps.
/// </summary>
internal static unsafe partial class Futex
{
    private const int Wait = 0;
    private const int Wake = 1;
    private static readonly nint s_call = !OperatingSystem.IsLinux() ? -1 : RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 202,
        Architecture.Arm64 => 98,
        _ => -1,
    };

    /// <summary>Returns when the word is no longer <paramref name="value"/> and somebody rang, or after so many milliseconds, or for no reason.</summary>
    public static void Sleep(int* word, int value, int milliseconds)
    {
        if (s_call < 0)
        {
            Thread.Sleep(1);
            return;
        }

        var time = new TimeSpec { Seconds = milliseconds / 1000, Nanoseconds = milliseconds % 1000 * 1_000_000L };
        _ = SystemCall(s_call, word, Wait, value, &time, null, 0);
    }

    /// <summary>Changes the word and wakes whoever sleeps on it.</summary>
    public static void Ring(int* word)
    {
        Interlocked.Increment(ref *word);
        if (s_call >= 0)
            _ = SystemCall(s_call, word, Wake, int.MaxValue, null, null, 0);
    }

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint SystemCall(nint number, int* word, nint operation, nint value, TimeSpec* timeout, int* second, nint third);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
