using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Models.Folders;

/// <summary>Device names of settings.</summary>
internal static class Devices
{
    /// <summary>True for <c>cpu</c>, <c>cuda</c> and <c>cuda:N</c>.</summary>
    public static bool IsName(string name) =>
        name is "cpu" or "cuda" || (name.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(5), out var index) && index >= 0);

    /// <summary>Where tensors have sizes and no numbers; no setting names it, only who predicts memory.</summary>
    public const string Meta = "meta";

    /// <summary>The device.</summary>
    /// <exception cref="UserErrorException">There is none of that name here.</exception>
    public static Device Parse(string name)
    {
        if (name == Meta)
            return META;
        if (!IsName(name))
            throw new UserErrorException($"device is {name}; it must be cpu or cuda:N.", ExitCode.Usage);
        if (name != "cpu" && !cuda.is_available())
            throw new UserErrorException($"device is {name}, and this program has no CUDA. Build it with -p:Cuda=true on a machine with a GPU, or use cpu.", ExitCode.Resource);
        return device(name);
    }
}
