using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>
/// Roles that break what the contract promises: the run ends, names the role that did it, and trains on none of it.
/// </summary>
[Trait("Category", "CI")]
public sealed class PromiseTests
{
    private const float NaN = float.NaN;

    [Theory]
    [InlineData("another batch", "It answered batch 9.9; 1.0 was asked for.")]
    [InlineData("a row too few", "It gave 3 rows of tokens, 4 prompts and 4 finish reasons for 4 prompts")]
    [InlineData("a finish reason too few", "It gave 4 rows of tokens, 4 prompts and 3 finish reasons for 4 prompts")]
    [InlineData("a prompt too few", "It gave 4 rows of tokens, 3 prompts and 4 finish reasons for 4 prompts")]
    [InlineData("temperature 0", "It gave Temperature 0; it must be above 0")]
    [InlineData("long log-probs", "Row 0 of its LogProbs has length 5, and the answer has 2 tokens after a prompt of 3")]
    [InlineData("short targets", "Row 0 of its IsTarget has length 1, and the answer has 2 tokens")]
    [InlineData("missing versions", "Its WeightVersions has 3 rows for 4 answers.")]
    [InlineData("endless log-prob", "Number 1 of row 1 of its LogProbs is -")]
    public async Task A_rollout_that_is_not_what_the_contract_says_names_the_rollout_role(string fault, string says)
    {
        var world = new FakeWorld { AnswerWith = rollout => Broken(rollout, fault) };
        await AssertNamedAsync(world, "rollout failed to generate (batch 1.0): InvalidOperationException: " + says);
    }

    [Theory]
    [InlineData("reference", ScoreKind.ReferenceLogProbs)]
    [InlineData("critic", ScoreKind.Values)]
    public async Task Scores_of_whole_sequences_name_their_scorer(string role, ScoreKind kind) => await AssertScorerNamedAsync(
        role,
        kind,
        scores => scores with { Values = Ragged.FromRows(RowsOf(scores.Values).Select(row => (float[])[0, 0, 0, .. row])) },
        "Row 0 of its Values has length 5, and the answer has 2 tokens after a prompt of 3; Values must have one entry a response token.");

    [Theory]
    [InlineData("reference", ScoreKind.ReferenceLogProbs)]
    [InlineData("critic", ScoreKind.Values)]
    public async Task Scores_that_are_too_short_name_their_scorer(string role, ScoreKind kind) => await AssertScorerNamedAsync(
        role,
        kind,
        scores => scores with { Values = Ragged.FromRows(RowsOf(scores.Values).Select((row, i) => i == 2 ? row[1..] : row)) },
        "Row 2 of its Values has length 3, and the answer has 4 tokens");

    [Fact]
    public async Task Rewards_of_single_tokens_name_the_reward() => await AssertScorerNamedAsync(
        "reward",
        ScoreKind.Rewards,
        scores => scores with { Values = Ragged.FromRows(RowsOf(scores.Values).Select(row => (float[])[.. row, 0])) },
        "Row 0 of its Values has 2 numbers; Rewards are one a row.");

    [Theory]
    [InlineData("reference", ScoreKind.ReferenceLogProbs)]
    [InlineData("critic", ScoreKind.Values)]
    [InlineData("reward", ScoreKind.Rewards)]
    public async Task A_value_that_is_no_number_names_its_scorer(string role, ScoreKind kind) => await AssertScorerNamedAsync(
        role,
        kind,
        scores => scores with { Values = Ragged.FromRows(RowsOf(scores.Values).Select((row, i) => i == 3 ? row.Select(_ => NaN).ToArray() : row)) },
        "Number 0 of row 3 of its Values is NaN; it must be finite.");

    [Theory]
    [InlineData("values", "It gave 3 rows of values, 4 outcomes and 4 reasons for 4 rows.")]
    [InlineData("outcomes", "It gave 4 rows of values, 3 outcomes and 4 reasons for 4 rows.")]
    [InlineData("reasons", "It gave 4 rows of values, 4 outcomes and 3 reasons for 4 rows.")]
    public async Task A_wrong_count_names_the_reward(string what, string says) => await AssertScorerNamedAsync(
        "reward",
        ScoreKind.Rewards,
        scores => what switch
        {
            "values" => scores with { Values = scores.Values.Pick([0, 1, 2]) },
            "outcomes" => scores with { Outcomes = [.. scores.Outcomes.Take(3)] },
            _ => scores with { Reasons = [.. scores.Reasons.Take(3)] },
        },
        says);

    [Fact]
    public async Task A_failed_row_without_a_reason_names_the_reward() => await AssertScorerNamedAsync(
        "reward", ScoreKind.Rewards, scores => scores with { Reasons = ["", "", "", ""] }, "Row 2 is Failed without a reason.");

    [Fact]
    public async Task A_reward_that_takes_too_long_is_named_and_its_batch_gets_no_score()
    {
        var world = new FakeWorld
        {
            Before = (role, call, cancel) =>
            {
                if (role != "reward" || call != "score 1.1")
                    return;
                cancel.WaitHandle.WaitOne();
                cancel.ThrowIfCancellationRequested();
            },
        };
        await AssertNamedAsync(
            world,
            "reward failed to score (batch 1.1): No answer within flow.role-timeout = 00:00:00.3000000.",
            TimeSpan.FromMilliseconds(300));
    }

    [Fact]
    public async Task A_reward_that_takes_too_long_once_scores_the_same_batch_again()
    {
        await using var unbroken = new RunHarness();
        await unbroken.RunAsync();
        var (world, hung) = (new FakeWorld(), 0);
        world.Before = (role, call, cancel) =>
        {
            if (role != "reward" || call != "score 2.1" || Interlocked.Exchange(ref hung, 1) != 0)
                return;
            cancel.WaitHandle.WaitOne();
            cancel.ThrowIfCancellationRequested();
        };
        await using var run = new RunHarness(world);
        run.Flow = run.Flow with { RoleTimeout = TimeSpan.FromMilliseconds(300) };

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(unbroken.Digest(), run.Digest());
        Assert.Equal(2, world.CallsOf("reward").Count(call => call == "score 2.1"));
    }

    [Fact]
    public async Task A_NaN_and_a_row_without_a_score_reach_experience_as_what_they_are()
    {
        var world = new FakeWorld
        {
            ScoreWith = scores => scores.Kind == ScoreKind.Rewards
                ? Scores.Of(scores.Kind, Ragged.Scalars<float>(new[] { NaN, 0.25f, 0.5f, 0.75f })) is var given
                    ? given with { Outcomes = [given.Outcomes[0], ScoreOutcome.NotApplicable, .. given.Outcomes.Skip(2)] }
                    : scores
                : scores,
        };
        await using var run = new RunHarness(world);

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.All(world.Windows.SelectMany(window => window).Select(part => part.Scores[ScoreKind.Rewards]), rewards =>
        {
            Assert.Equal([ScoreOutcome.Failed, ScoreOutcome.NotApplicable, ScoreOutcome.Value, ScoreOutcome.Value], rewards.Outcomes);
            Assert.Equal(0.5f, rewards.Values[2].Span[0]);
            Assert.DoesNotContain(0f, rewards.Values.Values.ToArray());
        });
        Assert.Single(run.Notes, note => note.Kind == "not-scored" && note.Message.Contains("reward failed on 1 of 4", StringComparison.Ordinal));
    }

    private static Task AssertScorerNamedAsync(string role, ScoreKind kind, Func<Scores, Scores> breakIt, string says) => AssertNamedAsync(
        new FakeWorld { ScoreWith = scores => scores.Kind == kind ? breakIt(scores) : scores },
        $"{role} failed to score (batch 1.0): InvalidOperationException: {says}");

    private static async Task AssertNamedAsync(FakeWorld world, string says, TimeSpan? roleTimeout = null)
    {
        await using var run = new RunHarness(world);
        run.Flow = run.Flow with { RoleRestarts = 0, RoleTimeout = roleTimeout ?? run.Flow.RoleTimeout };

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Failed, end.ExitCode);
        Assert.StartsWith(says, end.Failure, StringComparison.Ordinal);
        Assert.Empty(world.Windows);
        Assert.DoesNotContain(world.CallsOf("trainers.policy"), call => call.StartsWith("begin", StringComparison.Ordinal));
    }

    private static Rollout Broken(Rollout rollout, string fault) => fault switch
    {
        "another batch" => rollout with { Prompts = rollout.Prompts with { Batch = new BatchId(9, 9) } },
        "a row too few" => rollout with { Tokens = rollout.Tokens.Pick([0, 1, 2]) },
        "a finish reason too few" => rollout with { FinishReasons = [.. rollout.FinishReasons.Skip(1)] },
        "a prompt too few" => rollout with { Prompts = rollout.Prompts with { Tokens = rollout.Prompts.Tokens.Pick([0, 1, 2]) } },
        "temperature 0" => rollout with { Temperature = 0 },
        "long log-probs" => rollout with { LogProbs = Ragged.FromRows(RowsOf(rollout.LogProbs).Select(row => (float[])[-1, -1, -1, .. row])) },
        "short targets" => rollout with { IsTarget = Ragged.FromRows(RowsOf(rollout.IsTarget).Select(row => row[1..])) },
        "missing versions" => rollout with { WeightVersions = rollout.WeightVersions.Pick([0, 1, 2]) },
        "endless log-prob" => rollout with
        {
            LogProbs = Ragged.FromRows(RowsOf(rollout.LogProbs).Select((row, i) => i == 1 ? [row[0], float.NegativeInfinity, .. row[2..]] : row)),
        },
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, "No such fault."),
    };

    private static IEnumerable<T[]> RowsOf<T>(Ragged<T> ragged) => Enumerable.Range(0, ragged.Rows).Select(row => ragged[row].ToArray());
}
