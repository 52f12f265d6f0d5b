using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Hosts the Actor role: writes answers and sends them to all scorers and to the experience actor.</summary>
internal sealed class RolloutActor : WeightReaderActor<IRolloutRole>
{
    public RolloutActor(FlowContext flow, string slot, Func<IRolloutRole> make, RunState? from)
        : base(flow, slot, make, from) => Receive<GenerateRollout>(Generate);

    protected override void LoadWeights(IRolloutRole role, WeightsPublication publication, CancellationToken cancel) =>
        role.LoadWeights(publication, cancel);

    private void Generate(GenerateRollout request) => Call(
        request.Batch,
        "generate",
        (role, cancel) => Checked(role.Generate(request.Prompts, cancel), request.Prompts),
        (rollout, took) =>
        {
            foreach (var scorer in request.Window.Route.Scorers)
                Flow.Post(scorer, new ScoreRollout(request.Batch, request.Window, rollout));
            Flow.Post(request.Window.Route.Experience, new RolloutDone(request.Batch, request.Window, rollout, took));
        });

    private static Rollout Checked(Rollout rollout, PromptBatch prompts) => Promises.BrokenBy(rollout, prompts) is { } broken
        ? throw new InvalidOperationException(broken)
        : rollout;
}
