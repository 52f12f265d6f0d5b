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

    /// <summary>Why the first measurement that failed did; null when none has.</summary>
    public string? Why { get; private set; }

    /// <summary>Finds MPICH and compiles the comparison.</summary>
    /// <returns>Null when there is nothing to compare with, and why.</returns>
    public static async Task<(MpiPeer? Peer, string? Why)> FindAsync(CancellationToken cancel)
    {
        if (!IsOnPath("mpicc.mpich") || !IsOnPath("mpiexec.mpich"))
            return (null, "MPICH is not installed, so there is nothing to compare with: apt-get install mpich");
        var peer = new MpiPeer(Directory.CreateTempSubdirectory("colossalchat-mpi-").FullName);
        try
        {
            if (await peer.CompileAsync(cancel) is not { } problem)
                return (peer, null);
            peer.Dispose();
            return (null, $"mpicc.mpich could not compile the comparison: {problem}");
        }
        catch (OperationCanceledException)
        {
            peer.Dispose();
            throw;
        }
    }

    /// <summary>Median seconds of one all-reduce; null when it failed, and <see cref="Why"/> keeps the first reason.</summary>
    public async Task<double?> SecondsAsync(int ranks, long bytes, int repetitions, CancellationToken cancel)
    {
        // More ranks than cores are what is measured, not a mistake.
        var end = await ProcessRun.ToEndAsync(new("mpiexec.mpich", ["-n", Text(ranks), Program, Text(bytes), Text(repetitions)]), s_limit, cancel);
        if (end.IsGood && double.TryParse(end.Output.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds))
            return seconds;
        Why ??= $"mpiexec.mpich with {ranks} ranks failed: {end.Problem(s_limit)}";
        return null;
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static bool IsOnPath(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, name)));

    // Null, or what is wrong.
    private async Task<string?> CompileAsync(CancellationToken cancel)
    {
        var path = Path.Combine(_folder, Source);
        using (var source = typeof(MpiPeer).Assembly.GetManifestResourceStream(Source)!)
        using (var file = File.Create(path))
            await source.CopyToAsync(file, cancel);
        var end = await ProcessRun.ToEndAsync(new("mpicc.mpich", ["-O2", "-o", Program, path]), s_limit, cancel);
        return end.IsGood ? null : end.Problem(s_limit);
    }
}
