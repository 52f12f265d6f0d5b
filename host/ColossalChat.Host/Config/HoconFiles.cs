using ColossalChat.Contracts;

namespace ColossalChat.Host.Config;

/// <summary>Where included files come from; tests use memory.</summary>
internal interface IHoconFiles
{
    /// <summary>Name of a file that <paramref name="source"/> calls <paramref name="name"/>.</summary>
    string Beside(string source, string name);

    /// <summary>The file's text; null when it cannot be read.</summary>
    string? Read(string file);
}

/// <summary>Files on the disk.</summary>
internal sealed class DiskHoconFiles : IHoconFiles
{
    private const long LargestFile = 4 << 20;

    /// <inheritdoc/>
    public string Beside(string source, string name) =>
        Path.IsPathRooted(name) ? name : Path.Combine(Path.GetDirectoryName(source) ?? "", name);

    /// <inheritdoc/>
    public string? Read(string file)
    {
        try
        {
            var info = new FileInfo(file);
            return info.Exists && info.Length <= LargestFile ? File.ReadAllText(file) : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return null; // The caller reports the file and where it was named.
        }
    }

    /// <summary>The configuration file itself, with an error that says why it cannot be read.</summary>
    /// <exception cref="UserErrorException">There is no such file, or it is too large.</exception>
    public static string ReadMain(string file)
    {
        if (!File.Exists(file))
            throw new UserErrorException($"There is no configuration file {file}. Start from cluster.hocon, which explains every key.", ExitCode.NotFound);
        if (new FileInfo(file).Length > LargestFile)
            throw new UserErrorException($"{file} has more than 4 MiB; that is no configuration file.");
        return File.ReadAllText(file);
    }
}

/// <summary>No includes.</summary>
internal sealed class NoHoconFiles : IHoconFiles
{
    /// <inheritdoc/>
    public string Beside(string source, string name) => name;

    /// <inheritdoc/>
    public string? Read(string file) => null;
}
