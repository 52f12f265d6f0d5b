using System.Diagnostics;
using System.Globalization;

namespace ColossalChat.Bench;

/// <summary>MPICH on this machine: compiles a small C program that this assembly carries, and times it.</summary>
internal sealed class MpiPeer : IDisposable
{
    private const string Source = "mpi-all-reduce.c";
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5);
    private readonly string _folder;

    private MpiPeer(string folder) => _folder = folder;

    private string Program => Path.Combine(_folder, "mpi-all-reduce");

    /// <summary>Null when MPICH is not installed; <paramref name="why"/> says what to do.</summary>
    public static MpiPeer? Find(out string? why)
    {
        why = null;
        if (!IsOnPath("mpicc.mpich") || !IsOnPath("mpiexec.mpich"))
        {
            why = "MPICH is not installed, so there is nothing to compare with: apt-get install mpich";
            return null;
        }

        var peer = new MpiPeer(Directory.CreateTempSubdirectory("colossalchat-mpi-").FullName);
        using (var source = typeof(MpiPeer).Assembly.GetManifestResourceStream(Source)!)
        using (var file = File.Create(Path.Combine(peer._folder, Source)))
            source.CopyTo(file);
        if (Run("mpicc.mpich", ["-O2", "-o", peer.Program, Path.Combine(peer._folder, Source)], out var output))
            return peer;
        why = $"mpicc.mpich could not compile the comparison: {output}";
        peer.Dispose();
        return null;
    }

    /// <summary>Median seconds of one all-reduce.</summary>
    public double? Seconds(int ranks, long bytes, int repetitions, out string? why)
    {
        // More ranks than cores are what is measured, not a mistake.
        string[] arguments = ["-n", Text(ranks), Program, Text(bytes), Text(repetitions)];
        why = null;
        if (Run("mpiexec.mpich", arguments, out var output) && double.TryParse(output.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds))
            return seconds;
        why = $"mpiexec.mpich with {ranks} ranks failed: {output}";
        return null;
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static bool IsOnPath(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, name)));

    private static bool Run(string name, string[] arguments, out string output)
    {
        var start = new ProcessStartInfo(name, arguments) { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        output = process.StandardOutput.ReadToEnd();
        if (process.WaitForExit(s_limit))
            return process.ExitCode == 0;
        process.Kill(entireProcessTree: true);
        return false;
    }
}
