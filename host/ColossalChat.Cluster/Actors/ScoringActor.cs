using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Hosts one scoring role: reference, critic or reward.</summary>
internal sealed class ScoringActor : WeightReaderActor<IScoringRole>
{
    private readonly ScoreKind _kind;
    private readonly HashSet<string> _noted = [];
    private Rollout? _last;

    public ScoringActor(FlowContext flow, string slot, ScoreKind kind, Func<IScoringRole> make, RunState? from)
        : base(flow, slot, make, from)
    {
        _kind = kind;
        Receive<ScoreRollout>(Score);
    }

    protected override void LoadWeights(IScoringRole role, WeightsPublication publication, CancellationToken cancel) =>
        role.LoadWeights(publication, cancel);

    protected override Action<IScoringRole, CancellationToken>? Trial() => _last is not { } rollout ? null : (role, cancel) =>
        Checked(role.Score(rollout, cancel), rollout);

    private void Score(ScoreRollout request)
    {
        _last = request.Rollout;

        // A batch that was lost is written again, and differently: those are two requests.
        var mark = Flow.Definition.MarksRollouts ? RolloutMark.Of(request.Rollout) : 0;
        Call(
            request.Batch,
            "score",
            (role, cancel) => Checked(role.Score(request.Rollout, cancel), request.Rollout),
            (scores, took) =>
            {
                NoteFailures(request.Batch, scores);
                Flow.Post(request.Window.Route.Experience, new RolloutScored(request.Batch, request.Window, scores, took) { Mark = mark });
            },
            mark);
    }

    // Once for each reason: a role that fails on every batch would flood the log.
    private void NoteFailures(BatchId batch, Scores scores)
    {
        var first = scores.Outcomes.Index().FirstOrDefault(row => row.Item == ScoreOutcome.Failed, (-1, default)).Index;
        if (first < 0 || !_noted.Add(WithoutNumbers(scores.Reasons[first])))
            return;
        var failed = scores.Outcomes.Count(outcome => outcome == ScoreOutcome.Failed);
        Flow.Note("not-scored", $"{RoleSlots.Of(_kind)} failed on {failed} of {scores.Outcomes.Count} answers of batch {batch}, which are left out: {scores.Reasons[first]}.");
    }

    private static string WithoutNumbers(string reason) => new([.. reason.Where(letter => !char.IsAsciiDigit(letter))]);

    private Scores Checked(Scores scores, Rollout rollout) => Promises.BrokenBy(scores, _kind, rollout) is { } broken
        ? throw new InvalidOperationException(broken)
        : scores;
}
