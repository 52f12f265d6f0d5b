using System.IO.Hashing;
using System.Text;

namespace ColossalChat.Transfer;

/// <summary>
/// Where a lane's files are: a folder of its own for what it publishes, and one that all lanes of a machine share for what
/// they fetch from others. Both lie in a folder that only this user may enter. Whoever lives holds a lock on its folder, and
/// locks go with their process, so folders that nobody holds are removed at the next start.
/// </summary>
internal sealed class LaneFolder : IDisposable
{
    private const string OwnerPrefix = "owner-";
    private const string Lock = "held";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private static readonly TimeSpan s_young = TimeSpan.FromMinutes(1);
    private readonly FileStream _held;
    private readonly string _root;

    private LaneFolder(string root, string own, FileStream held) => (_root, Own, _held) = (root, own, held);

    /// <summary>For this lane's publications.</summary>
    public string Own { get; }

    /// <summary>A lane's folder in a parent.</summary>
    /// <exception cref="IOException">None can be made there.</exception>
    public static LaneFolder Create(string parent)
    {
        try
        {
            return In(Path.Combine(parent, $"colossalchat-lanes-{Environment.UserName}"));
        }
        catch (UnauthorizedAccessException)
        {
            // Everybody may write into the parent, and another user has made a folder of this name.
            return In(Path.Combine(parent, $"colossalchat-lanes-{Guid.NewGuid():N}"));
        }
    }

    /// <summary>A folder for one block that lanes of one machine fetch together.</summary>
    /// <param name="machine">The machine's id.</param>
    /// <param name="block">The publication.</param>
    public string SharedFor(string machine, Guid block) => SharedIn(_root, machine, block);

    /// <inheritdoc cref="SharedFor"/>
    internal static string SharedIn(string root, string machine, Guid block) => Path.Combine(root, $"machine-{XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(machine)):x16}-{block:N}");

    /// <summary>Makes a folder that only this user may enter.</summary>
    public static void MakePrivate(string folder)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(folder);
        else
            Directory.CreateDirectory(folder, OwnerOnly);
    }

    /// <summary>Holds a folder of several users' together with others; null when it is being removed.</summary>
    public static FileStream? TryShare(string folder)
    {
        var path = Path.Combine(folder, Lock);
        try
        {
            MakePrivate(folder);
            var held = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Read, FileShare.Read | FileShare.Delete);
            if (File.Exists(path))
                return held;
            held.Dispose();
            return null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Removes a folder unless somebody holds it.</summary>
    public static void RemoveIfUnheld(string folder)
    {
        var path = Path.Combine(folder, Lock);
        try
        {
            if (!File.Exists(path))
            {
                // Being made, or a leftover of one that was being made.
                if (DateTime.UtcNow - Directory.GetCreationTimeUtc(folder) > s_young)
                    Directory.Delete(folder, recursive: true);
                return;
            }

            using var alone = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Somebody holds it, or removes it at the same time.
            return;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _held.Dispose();
        RemoveIfUnheld(Own);
    }

    private static LaneFolder In(string root)
    {
        MakePrivate(root);
        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(root) & ~OwnerOnly) != 0)
            throw new UnauthorizedAccessException($"Others may enter {root}.");
        foreach (var folder in Directory.EnumerateDirectories(root))
            RemoveIfUnheld(folder);
        var own = Path.Combine(root, $"{OwnerPrefix}{Guid.NewGuid():N}");
        MakePrivate(own);
        return new LaneFolder(root, own, new FileStream(Path.Combine(own, Lock), FileMode.CreateNew, FileAccess.Write, FileShare.None));
    }
}
