using System.Reflection;
using System.Runtime.InteropServices;

namespace ColossalChat.Zero;

/// <summary>The part of NCCL's public C API that we use, and the calls of the CUDA driver that go with it.</summary>
internal static unsafe partial class Nccl
{
    public const int UniqueIdBytes = 128;
    public const int InProgress = 7;
    private const string Library = "nccl";
    private const string Driver = "cuda";
    private const int DriverNotReady = 600;

    static Nccl() => NativeLibrary.SetDllImportResolver(typeof(Nccl).Assembly, Find);

    /// <summary>ncclDataType_t.</summary>
    public static int TypeOf(ElementKind kind) => kind switch
    {
        ElementKind.Float32 => 7,
        ElementKind.BFloat16 => 9,
        _ => 4,
    };

    /// <summary>ncclRedOp_t: sum.</summary>
    public const int Sum = 0;

    /// <summary>Passed by value, as the API wants it.</summary>
    [StructLayout(LayoutKind.Sequential, Size = UniqueIdBytes)]
    public struct UniqueId
    {
        private fixed byte _bytes[UniqueIdBytes];
    }

    [LibraryImport(Library, EntryPoint = "ncclGetUniqueId")]
    public static partial int GetUniqueId(UniqueId* id);

    [LibraryImport(Library, EntryPoint = "ncclCommInitRank")]
    public static partial int CommInitRank(nint* comm, int ranks, UniqueId id, int rank);

    [LibraryImport(Library, EntryPoint = "ncclCommDestroy")]
    public static partial int CommDestroy(nint comm);

    [LibraryImport(Library, EntryPoint = "ncclCommAbort")]
    public static partial int CommAbort(nint comm);

    [LibraryImport(Library, EntryPoint = "ncclCommGetAsyncError")]
    public static partial int CommGetAsyncError(nint comm, int* result);

    [LibraryImport(Library, EntryPoint = "ncclAllReduce")]
    public static partial int AllReduce(void* send, void* receive, nuint count, int type, int operation, nint comm, nint stream);

    [LibraryImport(Library, EntryPoint = "ncclReduceScatter")]
    public static partial int ReduceScatter(void* send, void* receive, nuint receiveCount, int type, int operation, nint comm, nint stream);

    [LibraryImport(Library, EntryPoint = "ncclAllGather")]
    public static partial int AllGather(void* send, void* receive, nuint sendCount, int type, nint comm, nint stream);

    [LibraryImport(Library, EntryPoint = "ncclBroadcast")]
    public static partial int Broadcast(void* send, void* receive, nuint count, int type, int root, nint comm, nint stream);

    /// <summary>What a result means.</summary>
    public static string Message(int result) => Marshal.PtrToStringUTF8(GetErrorString(result)) ?? $"result {result}";

    /// <summary>Makes a device this thread's current one, as NCCL expects when it joins.</summary>
    /// <returns>0, or the driver's error.</returns>
    public static int UseDevice(int index)
    {
        var device = 0;
        nint context = 0;
        var result = DriverInit(0);
        result = result != 0 ? result : DeviceGet(&device, index);
        result = result != 0 ? result : PrimaryContextRetain(&context, device);
        return result != 0 ? result : ContextSetCurrent(context);
    }

    /// <summary>True when all work given to a stream is done; other errors of the driver are left to libtorch's next call.</summary>
    public static bool IsDone(nint stream) => StreamQuery(stream) != DriverNotReady;

    [LibraryImport(Library, EntryPoint = "ncclGetErrorString")]
    private static partial nint GetErrorString(int result);

    [LibraryImport(Driver, EntryPoint = "cuInit")]
    private static partial int DriverInit(uint flags);

    [LibraryImport(Driver, EntryPoint = "cuDeviceGet")]
    private static partial int DeviceGet(int* device, int index);

    [LibraryImport(Driver, EntryPoint = "cuDevicePrimaryCtxRetain")]
    private static partial int PrimaryContextRetain(nint* context, int device);

    [LibraryImport(Driver, EntryPoint = "cuCtxSetCurrent")]
    private static partial int ContextSetCurrent(nint context);

    [LibraryImport(Driver, EntryPoint = "cuStreamQuery")]
    private static partial int StreamQuery(nint stream);

    private static nint Find(string name, Assembly assembly, DllImportSearchPath? path)
    {
        string[] candidates = name switch
        {
            Library => ["libnccl.so.2", "libnccl.so", "nccl"],
            Driver => ["libcuda.so.1", "nvcuda"],
            _ => [],
        };
        foreach (var candidate in candidates)
            if (NativeLibrary.TryLoad(candidate, assembly, path, out var handle))
                return handle;
        return 0;
    }
}
