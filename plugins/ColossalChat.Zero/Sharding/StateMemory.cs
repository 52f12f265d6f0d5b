using System.Globalization;
using ColossalChat.Contracts;
using TorchSharp;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

/// <summary>Where gradients, master weights and optimiser states lie.</summary>
internal interface IStateMemory
{
    /// <summary>True for mapped files, which the system may write out and drop at any time.</summary>
    bool IsOnDisk { get; }

    /// <summary>
    /// A new tensor [elements] float32 of zeros; the caller disposes it, which frees its memory or file. On device
    /// <c>meta</c> it takes no memory of any kind.
    /// </summary>
    /// <param name="name">Unique in the engine.</param>
    /// <param name="elements">1 or more.</param>
    /// <param name="device">Of the chunk's working weights.</param>
    Tensor Allocate(string name, long elements, Device device);
}

/// <summary>Beside the working weights.</summary>
internal sealed class DeviceMemory : IStateMemory
{
    /// <summary>It has no state.</summary>
    public static readonly DeviceMemory Instance = new();

    /// <inheritdoc/>
    public bool IsOnDisk => false;

    /// <inheritdoc/>
    public Tensor Allocate(string name, long elements, Device device) =>
        zeros([elements], float32, device).DetachFromDisposeScope();
}

/// <summary>In the host's memory, whatever the device.</summary>
internal sealed class HostMemory : IStateMemory
{
    /// <summary>It has no state.</summary>
    public static readonly HostMemory Instance = new();

    /// <inheritdoc/>
    public bool IsOnDisk => false;

    /// <inheritdoc/>
    public Tensor Allocate(string name, long elements, Device device) =>
        zeros([elements], float32, device.type == DeviceType.META ? META : CPU).DetachFromDisposeScope();
}

/// <summary>
/// In files that are mapped into memory: the system keeps what is used and writes out the rest. A file has no name any
/// more once it is mapped, so that nothing stays behind however the process ends.
/// </summary>
/// <param name="folder">Where the files are made.</param>
internal sealed class DiskMemory(string folder) : IStateMemory
{
    private static long s_number;

    /// <inheritdoc/>
    public bool IsOnDisk => true;

    /// <inheritdoc/>
    public Tensor Allocate(string name, long elements, Device device)
    {
        if (device.type == DeviceType.META)
            return DeviceMemory.Instance.Allocate(name, elements, device);
        Directory.CreateDirectory(folder);
        var number = Interlocked.Increment(ref s_number);
        var path = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}-{number}-{name}.states"));
        Reserve(path, elements * sizeof(float));
        var mapped = from_file(path, shared: true, size: elements, dtype: ScalarType.Float32).DetachFromDisposeScope();
        File.Delete(path);
        return mapped;
    }

    // Room is taken at once: a mapped page that finds none later would end the process without a word.
    private static void Reserve(string path, long bytes)
    {
        try
        {
            using var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, PreallocationSize = bytes });
            file.SetLength(bytes);
        }
        catch (IOException error)
        {
            File.Delete(path);
            throw new UserErrorException(
                $"Folder '{Path.GetDirectoryName(path)}' has no room for {bytes >> 20} MiB of training states: {error.Message} Free some, or set offload-folder to another disk.",
                ExitCode.Resource);
        }
    }
}
