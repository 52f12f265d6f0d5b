using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

/// <summary>
/// Where a tensor's elements lie, on any device. TorchSharp gives out addresses of CPU memory only; its native library,
/// loaded by the time there is a tensor, has the call for the others too.
/// </summary>
internal static partial class DevicePointer
{
    /// <summary>Valid while the tensor lives.</summary>
    public static nint Of(Tensor tensor)
    {
        var address = Data(tensor.Handle);
        GC.KeepAlive(tensor);
        return address;
    }

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    private static partial nint Data(nint tensor);
}
