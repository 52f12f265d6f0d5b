using System.Runtime.InteropServices;
using ColossalChat.Contracts;

namespace ColossalChat.Host.Node;

/// <summary>
/// What native libraries read once: set before libtorch is loaded, on Linux with glibc; elsewhere they keep their own.
/// Whoever sets the environment variables named here, or <see cref="PlainProcess"/>, keeps what he set.
/// </summary>
internal static partial class NativeSettings
{
    /// <summary>Set to 1 leaves everything as a plain program has it; benchmarks compare with that.</summary>
    public const string PlainProcess = "COLOSSALCHAT_PLAIN_PROCESS";

    private const int TrimThreshold = -1;
    private const int TopPad = -2;
    private const int MmapThreshold = -3;
    private const int Mega = 1 << 20;
    private const long Plenty = 8L << 30;

    /// <summary>Applies them.</summary>
    public static void Apply()
    {
        if (!OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable(PlainProcess) == "1")
            return;
        try
        {
            KeepMemory();
        }
        catch (EntryPointNotFoundException)
        {
            return; // Another C library; its own settings will do.
        }
    }

    // Tensors come and go by the hundred megabytes each step. Given back to the system, every page is cleared and mapped
    // again: a tenth of a training step (measured on two cores, 98 million parameters). Where memory is scarce, room matters
    // more than time.
    private static void KeepMemory()
    {
        if (IsSet("MALLOC_TRIM_THRESHOLD_") || IsSet("MALLOC_MMAP_THRESHOLD_") || ProcessMemory.Allowed < Plenty)
            return;
        _ = SetAllocator(MmapThreshold, 32 * Mega);
        _ = SetAllocator(TrimThreshold, int.MaxValue);
        _ = SetAllocator(TopPad, 64 * Mega);
    }

    private static bool IsSet(string variable) => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(variable));

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetAllocator(int option, int value);
}
