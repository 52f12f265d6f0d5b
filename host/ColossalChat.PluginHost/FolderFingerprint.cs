using System.Security.Cryptography;
using System.Text;

namespace ColossalChat.PluginHost;

/// <summary>Tells whether two folders hold the same files, and whether one has changed.</summary>
public static class FolderFingerprint
{
    /// <summary>SHA-256 of all files' names and content, 64 lower-case hexadecimal digits.</summary>
    /// <exception cref="IOException">A file was removed or replaced meanwhile.</exception>
    public static string Of(string folder)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in Files(folder))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetRelativePath(folder, file) + "\n"));
            hash.AppendData(SHA256.HashData(File.ReadAllBytes(file)));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>SHA-256 of a file's content, 64 lower-case hexadecimal digits.</summary>
    public static string OfFile(string file) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));

    /// <summary>Names, sizes and times of all files: cheap to take, and another one means that a look is worth while.</summary>
    public static string Stamp(string folder) => string.Join('\n', Files(folder)
        .Select(file => new FileInfo(file))
        .Select(file => $"{file.FullName} {file.Length} {file.LastWriteTimeUtc.Ticks}"));

    /// <summary>Full paths of all files, in ordinal order.</summary>
    internal static IEnumerable<string> Files(string folder) =>
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal);
}
