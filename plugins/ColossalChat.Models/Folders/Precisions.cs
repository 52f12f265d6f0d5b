using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Models.Folders;

/// <summary>Names of the element types that weights may have.</summary>
internal static class Precisions
{
    /// <summary>What settings may say.</summary>
    public const string Allowed = "float32, bfloat16 or float16";

    /// <summary>The element type of a name, or null when there is none of that name.</summary>
    public static ScalarType? Find(string name) => name switch
    {
        "float32" => ScalarType.Float32,
        "bfloat16" => ScalarType.BFloat16,
        "float16" => ScalarType.Float16,
        _ => null,
    };

    /// <summary>The element type of a name.</summary>
    /// <exception cref="UserErrorException">There is none of that name.</exception>
    public static ScalarType Parse(string name) =>
        Find(name) ?? throw new UserErrorException($"precision is {name}; it must be {Allowed}.", ExitCode.Usage);

    /// <summary>The name of an element type.</summary>
    public static string NameOf(ScalarType type) => type switch
    {
        ScalarType.Float32 => "float32",
        ScalarType.BFloat16 => "bfloat16",
        _ => "float16",
    };
}
