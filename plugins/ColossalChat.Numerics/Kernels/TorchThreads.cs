using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace ColossalChat.Numerics.Kernels;

/// <summary>
/// The threads that libtorch computes with, for loops of our own. Threads beside them would share the cores with them:
/// after every operation one kind would have to go to sleep and the other to be woken.
/// </summary>
internal static unsafe class TorchThreads
{
    // Entry of GNU's OpenMP runtime, which the compilers that build libtorch call at every parallel region.
    private static readonly delegate* unmanaged<delegate* unmanaged<void*, void>, void*, uint, uint, void> s_parallel =
        (delegate* unmanaged<delegate* unmanaged<void*, void>, void*, uint, uint, void>)Find("GOMP_parallel");

    /// <summary>Runs the same work on several threads at once, the calling one included, and waits for all.</summary>
    /// <param name="threads">How many; as many as libtorch uses on the calling thread, or it builds its team anew each time.</param>
    /// <param name="work">Shares itself out. What one of them throws is thrown here.</param>
    /// <returns>False, with nothing done, where libtorch has other threads than those of OpenMP.</returns>
    public static bool TryRun(int threads, Action work)
    {
        if (s_parallel is null)
            return false;
        var region = new Region(work);
        var handle = GCHandle.Alloc(region);
        try
        {
            s_parallel(&Enter, (void*)GCHandle.ToIntPtr(handle), (uint)threads, 0);
        }
        finally
        {
            handle.Free();
        }

        region.Failure?.Throw();
        return true;
    }

    [UnmanagedCallersOnly]
    private static void Enter(void* handle)
    {
        var region = (Region)GCHandle.FromIntPtr((nint)handle).Target!;
        try
        {
            region.Work();
        }
        catch (Exception error)
        {
            // Native frames are no way for an exception.
            region.Failure ??= ExceptionDispatchInfo.Capture(error);
        }
    }

    // The library that is loaded already, with those it depends on.
    private static nint Find(string name) =>
        OperatingSystem.IsLinux()
        && NativeLibrary.TryLoad("libtorch_cpu.so", out var library)
        && NativeLibrary.TryGetExport(library, name, out var address)
            ? address
            : 0;

    private sealed class Region(Action work)
    {
        public Action Work { get; } = work;

        public ExceptionDispatchInfo? Failure { get; set; }
    }
}
