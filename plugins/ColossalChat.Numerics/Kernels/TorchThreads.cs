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

    /// <summary>
    /// Runs the same work on several threads at once, the calling one included, and waits for all. Where libtorch has other
    /// threads than those of OpenMP, the pool's serve.
    /// </summary>
    /// <param name="threads">How many; as many as libtorch uses on the calling thread, or it builds its team anew each time.</param>
    /// <param name="work">Shares itself out. What one of them throws is thrown here.</param>
    public static void Run(int threads, Action work)
    {
        var region = new Region(work);
        if (s_parallel is null)
            RunOnPool(threads, region);
        else
            RunOnTeam(threads, region);
        region.Failure?.Throw();
    }

    private static void RunOnPool(int threads, Region region) =>
        Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, _ => region.Run());

    private static void RunOnTeam(int threads, Region region)
    {
        var handle = GCHandle.Alloc(region);
        try
        {
            s_parallel(&Enter, (void*)GCHandle.ToIntPtr(handle), (uint)threads, 0);
        }
        finally
        {
            handle.Free();
        }
    }

    [UnmanagedCallersOnly]
    private static void Enter(void* region) => ((Region)GCHandle.FromIntPtr((nint)region).Target!).Run();

    // The library that is loaded already, with those it depends on.
    private static nint Find(string name) =>
        OperatingSystem.IsLinux()
        && NativeLibrary.TryLoad("libtorch_cpu.so", out var library)
        && NativeLibrary.TryGetExport(library, name, out var address)
            ? address
            : 0;

    private sealed class Region(Action work)
    {
        public ExceptionDispatchInfo? Failure { get; private set; }

        // Native frames are no way for an exception.
        public void Run()
        {
            try
            {
                work();
            }
            catch (Exception error)
            {
                Failure ??= ExceptionDispatchInfo.Capture(error);
            }
        }
    }
}
