using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;

namespace ColossalChat.Bench;

/// <summary>Processes of this very program, one for each rank, that run <c>bench collective</c> together.</summary>
internal static class RankTeam
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(10);

    /// <summary>Runs all ranks to their end.</summary>
    /// <returns>Median seconds by kind, as rank 0 measured them.</returns>
    /// <exception cref="UserErrorException">A rank failed; the message has what it said.</exception>
    public static async Task<IReadOnlyDictionary<string, double>> RunAsync(IReadOnlyList<string> kinds, int ranks, long bytes, int repetitions, CancellationToken cancel)
    {
        var folder = Directory.CreateTempSubdirectory("colossalchat-ranks-").FullName;
        var team = new List<Process>();
        try
        {
            for (var rank = 0; rank < ranks; rank++)
                team.Add(Start(["--child-rank", Text(rank), "--ranks", Text(ranks), "--meet", $"dir:{folder}", "--bytes", Text(bytes), "--repetitions", Text(repetitions), .. kinds.SelectMany(kind => (string[])["--kinds", kind])]));
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            limit.CancelAfter(s_limit);
            var answers = await Task.WhenAll(team.Select(process => AnswerAsync(process, limit.Token)));
            var report = JsonNode.Parse(answers[0])!.AsObject();
            return report.ToDictionary(pair => pair.Key, pair => pair.Value!.GetValue<double>());
        }
        finally
        {
            foreach (var process in team)
            {
                if (!process.HasExited)
                    process.Kill(entireProcessTree: true);
                process.Dispose();
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static Process Start(IEnumerable<string> arguments)
    {
        var start = ThisProgram.With(["bench", "collective", .. arguments]);
        start.RedirectStandardError = true;
        return Process.Start(start)!;
    }

    private static async Task<string> AnswerAsync(Process process, CancellationToken cancel)
    {
        var error = process.StandardError.ReadToEndAsync(cancel);
        var output = await process.StandardOutput.ReadToEndAsync(cancel);
        await process.WaitForExitAsync(cancel);
        return process.ExitCode == 0 ? output : throw new UserErrorException($"A rank of the benchmark failed:\n{await error}", ExitCode.Failed);
    }
}
