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
        try
        {
            ProcessStartInfo[] team =
            [
                .. Enumerable.Range(0, ranks).Select(rank => ThisProgram.With(
                [
                    "bench", "collective", "--child-rank", Text(rank), "--ranks", Text(ranks), "--meet", $"dir:{folder}", "--bytes", Text(bytes),
                    "--repetitions", Text(repetitions), .. kinds.SelectMany(kind => (string[])["--kinds", kind]),
                ])),
            ];
            var answers = await TogetherAsync(team, $"all-reduces of {bytes} bytes with {string.Join(" and ", kinds)}", s_limit, cancel);
            var report = JsonNode.Parse(answers[0])!.AsObject();
            return report.ToDictionary(pair => pair.Key, pair => pair.Value!.GetValue<double>());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Runs processes that wait for one another: when one fails, the others are killed and not waited for.</summary>
    /// <param name="team">By rank.</param>
    /// <param name="work">What they do, for messages.</param>
    /// <param name="limit">Longest time.</param>
    /// <param name="cancel">The caller gives up.</param>
    /// <returns>What each printed, by rank.</returns>
    /// <exception cref="UserErrorException">A rank failed or the limit passed.</exception>
    public static async Task<IReadOnlyList<string>> TogetherAsync(IReadOnlyList<ProcessStartInfo> team, string work, TimeSpan limit, CancellationToken cancel)
    {
        using var together = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        async Task<string> AnswerAsync(ProcessStartInfo start, int rank)
        {
            var end = await ProcessRun.ToEndAsync(start, limit, together.Token);
            if (end.IsGood)
                return end.Output;

            // Ctrl+C reaches the ranks as well; what they make of it is no failure.
            together.Token.ThrowIfCancellationRequested();
            throw new UserErrorException($"Rank {rank} of {team.Count} of the benchmark failed at {work}: {end.Problem(limit)}", ExitCode.Failed);
        }

        Task<string>[] answers = [.. team.Select(AnswerAsync)];
        try
        {
            await foreach (var answer in Task.WhenEach(answers))
                await answer;
            return await Task.WhenAll(answers);
        }
        finally
        {
            // The first failure is the one that is told; the others are its consequences.
            await together.CancelAsync();
            await ((Task)Task.WhenAll(answers)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
