using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Hosts the Actor role: writes answers and sends them to all scorers and to the experience actor.</summary>
internal sealed class RolloutActor : WeightReaderActor<IRolloutRole>
{
    private const int RowsOfTrial = 4;
    private PromptBatch? _last;

    public RolloutActor(FlowContext flow, string slot, Func<IRolloutRole> make, RunState? from)
        : base(flow, slot, make, from) => Receive<GenerateRollout>(Generate);

    protected override void LoadWeights(IRolloutRole role, WeightsPublication publication, CancellationToken cancel) =>
        role.LoadWeights(publication, cancel);

    protected override Action<IRolloutRole, CancellationToken>? Trial() => _last is not { } prompts ? null : (role, cancel) =>
        Checked(role.Generate(prompts, cancel), prompts);

    private void Generate(GenerateRollout request)
    {
        _last = FirstRows(request.Prompts);
        Call(
            request.Batch,
            "generate",
            (role, cancel) => Checked(Answer(role, request.Prompts, cancel), request.Prompts),
            (rollout, took) =>
            {
                // From here on nobody needs to know who scores: names of actors are a good part of a small message.
                var window = request.Window with { Route = request.Window.Route with { Scorers = [] } };
                foreach (var scorer in request.Window.Route.Scorers)
                    Flow.Post(scorer, new ScoreRollout(request.Batch, window, rollout));
                Flow.Post(window.Route.Experience, new RolloutDone(request.Batch, window, rollout, took));
            });
    }

    // A measurement is one of one policy.
    private Rollout Answer(IRolloutRole role, PromptBatch prompts, CancellationToken cancel) =>
        Inbox is { } inbox && prompts.Batch.Purpose == BatchPurpose.Train && role is IInterruptibleRollout interruptible
            ? interruptible.Generate(prompts, inbox, cancel)
            : role.Generate(prompts, cancel);

    // Enough to see that it answers; a whole batch takes as long as it takes.
    private static PromptBatch FirstRows(PromptBatch prompts)
    {
        int[] rows = [.. Enumerable.Range(0, Math.Min(RowsOfTrial, prompts.Tokens.Rows))];
        return prompts with
        {
            Tokens = prompts.Tokens.Pick(rows),
            PromptIds = [.. rows.Select(row => prompts.PromptIds[row])],
            SampleIndexes = [.. rows.Select(row => prompts.SampleIndexes[row])],
            DataJson = [.. rows.Select(row => prompts.DataJson[row])],
            Conversations = prompts.Conversations is { } talks ? [.. rows.Select(row => talks[row])] : null,
        };
    }

    private static Rollout Checked(Rollout rollout, PromptBatch prompts) => Promises.BrokenBy(rollout, prompts) is { } broken
        ? throw new InvalidOperationException(broken)
        : rollout;
}
