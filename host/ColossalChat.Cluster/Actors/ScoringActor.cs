using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Hosts one scoring role: reference, critic or reward.</summary>
internal sealed class ScoringActor : WeightReaderActor<IScoringRole>
{
    private readonly ScoreKind _kind;

    public ScoringActor(FlowContext flow, ScoreKind kind, Func<IScoringRole> make)
        : base(flow, RoleSlots.Of(kind), make)
    {
        _kind = kind;
        Receive<ScoreRollout>(Score);
    }

    protected override void LoadWeights(IScoringRole role, WeightsPublication publication, CancellationToken cancel) =>
        role.LoadWeights(publication, cancel);

    private void Score(ScoreRollout request) => Call(
        request.Batch,
        "score",
        (role, cancel) => Checked(role.Score(request.Rollout, cancel), request.Rollout),
        (scores, took) => request.Window.Route.Experience.Tell(new RolloutScored(request.Batch, request.Window, scores, took)));

    // Here and not where the parts are joined, so that the role that broke its promise is the one that is named.
    private Scores Checked(Scores scores, Rollout rollout)
    {
        if (scores.Kind != _kind)
            throw new InvalidOperationException($"It gave {scores.Kind}; the stage needs {_kind} from it.");
        if (scores.Values.Rows != rollout.Rows || scores.Outcomes.Count != rollout.Rows || scores.Reasons.Count != rollout.Rows)
            throw new InvalidOperationException(
                $"It gave {scores.Values.Rows} rows of values, {scores.Outcomes.Count} outcomes and {scores.Reasons.Count} reasons "
                + $"for {rollout.Rows} rows.");
        return scores;
    }
}
