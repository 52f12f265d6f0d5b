using System.Globalization;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Ranks;

namespace ColossalChat.Host.Runs;

/// <summary>Loads what a run would load, takes two batches and says what would happen; makes no step and writes no file.</summary>
internal static class DryRun
{
    /// <summary>Writes the plan.</summary>
    public static void Show(RunBinding binding, NodeContext node, TextWriter output, CancellationToken cancel)
    {
        var (settings, plan) = (binding.Current.Settings, binding.Current.Plan);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"stage {settings.Stage.Name} ({plan.Flow.ToString().ToLowerInvariant()}), seed {settings.Seed}, device {settings.Device}"));
        var makers = RoleMakers.Of(binding, node, TrainerRanks.OfDryRun(binding, node));
        var made = new List<object>();
        try
        {
            Make(makers, made, settings, node, cancel);
            ShowModels(settings, node, output, cancel);
            var iterations = plan.Flow == FlowKind.Online ? ShowPrompts(plan, makers.Prompts!(), output) : ShowBatches(makers.Batches!(), output);
            ShowRoles(settings, output);
            ShowSchedule(settings, plan, iterations, output);
        }
        finally
        {
            foreach (var role in Enumerable.Reverse(made).OfType<IDisposable>())
                role.Dispose();
        }
    }

    // All roles, because it is they who borrow models: what no role uses is not loaded in a run either.
    private static void Make(RunRoles makers, List<object> made, RunSettings settings, NodeContext node, CancellationToken cancel)
    {
        using var lease = node.Devices.Take(settings.Device, cancel);
        Func<object>?[] all = [makers.Rollout, makers.Experience, .. makers.Scorers.Values, .. makers.Trainers.Where(trainer => trainer.Key.Rank == 0).Select(trainer => (Func<object>)(() => trainer.Value(0, cancel)))];
        foreach (var make in all.OfType<Func<object>>())
            made.Add(make());
    }

    private static void ShowSchedule(RunSettings settings, StagePlan plan, long iterations, TextWriter output)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"iterations: {iterations}; {Measured(plan)}, {Every("checkpoint", settings.Run.CheckpointEvery)}"));
        output.WriteLine($"run folder: {Path.Combine(settings.Run.Folder, settings.Run.Name.Length > 0 ? settings.Run.Name : settings.Stage.Name)} (a number is added when it is taken)");
        output.WriteLine("dry run: everything loads; no step was made, nothing was written.");
    }

    private static void ShowModels(RunSettings settings, NodeContext node, TextWriter output, CancellationToken cancel)
    {
        var store = node.Create(settings.Models);
        foreach (var name in store.Borrowed)
        {
            using var lease = node.Devices.Take(settings.Device, cancel);
            using var model = store.Borrow(name);
            var shape = model.Body.Shape;
            var trains = model.Adapter is null ? "" : ", with adapter";
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"model {name}: {shape.Family}, {Parameters(model):N0} parameters, {shape.Layers} layers x {shape.HiddenSize}, vocabulary {shape.VocabularySize}, context {shape.ContextLength}, {model.Body.Precision}{(model.ValueHead is null ? "" : ", value head")}{trains}"));
        }
    }

    private static string Measured(StagePlan plan) => plan.EvaluateEvery < 0 ? "never measured" : Every("measured", plan.EvaluateEvery);

    private static string Every(string what, long iterations) =>
        iterations == 0 ? $"{what} at the end" : string.Create(CultureInfo.InvariantCulture, $"{what} every {iterations}");

    private static long Parameters(IBorrowedModel model) =>
        model.Body.Blocks.Prepend(model.Body.Embedding)
            .Append(model.ValueHead ?? model.Body.LanguageHead)
            .SelectMany(part => part.Parameters)
            .Distinct()
            .Sum(slot => slot.Shape.Aggregate(1L, (product, size) => product * size));

    private static long ShowPrompts(StagePlan plan, IPromptSource source, TextWriter output)
    {
        source.Begin(plan);
        var perBatch = Math.Max(1, Math.Min(plan.PromptsPerIteration, plan.RowsPerBatch / plan.AnswersPerPrompt));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"prompts: {plan.PromptsPerIteration} x {plan.AnswersPerPrompt} answers an iteration, batches of {perBatch * plan.AnswersPerPrompt} rows; {source.HeldOutPrompts} held out"));
        for (var iteration = 1; iteration <= 2; iteration++)
        {
            var batch = source.Take(new BatchId(iteration, 0), 0, perBatch, plan.AnswersPerPrompt);
            output.WriteLine($"batch {batch.Batch}: {Lengths(batch.Tokens)}");
        }

        return plan.Iterations;
    }

    private static long ShowBatches(IBatchSource source, TextWriter output)
    {
        foreach (var remark in source.Remarks)
            output.WriteLine($"data: {remark}");
        foreach (var (name, value) in source.Metrics.OrderBy(metric => metric.Key, StringComparer.Ordinal))
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"data: {(name.StartsWith("data/", StringComparison.Ordinal) ? name[5..] : name)} {value:0.####}"));
        for (var iteration = 1L; iteration <= Math.Min(2, source.Iterations); iteration++)
        {
            var experience = source.Take(iteration, ranks: 1)[0];
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"batch {iteration}: {Lengths(experience.Tokens)}, {experience.TargetTokens} with loss, columns: {(experience.Columns.Count == 0 ? "none" : string.Join(", ", experience.Columns.Keys.Order(StringComparer.Ordinal)))}"));
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"held out: {source.HeldOut.Count} batches, {source.HeldOut.Sum(batch => batch.Rows)} rows"));
        return source.Iterations;
    }

    private static void ShowRoles(RunSettings settings, TextWriter output)
    {
        var roles = settings.Roles;
        (string Slot, string? Plugin)[] chosen =
        [
            ("prompts", roles.Prompts?.Name), ("rollout", roles.Rollout?.Name), ("reference", roles.Reference?.Name), ("critic", roles.Critic?.Name),
            ("reward", roles.Reward?.Name), ("experience", roles.Experience?.Name), ("batches", roles.Batches?.Name),
            .. roles.Trainers.Select(trainer => ($"trainers.{trainer.Key}", (string?)trainer.Value.Name)),
        ];
        foreach (var (slot, plugin) in chosen.Where(role => role.Plugin is not null))
            output.WriteLine($"role {slot}: {plugin}");
    }

    private static string Lengths(Ragged<int> tokens)
    {
        var lengths = Enumerable.Range(0, tokens.Rows).Select(tokens.LengthOf).DefaultIfEmpty(0).ToArray();
        return string.Create(CultureInfo.InvariantCulture, $"{tokens.Rows} rows, {lengths.Min()} to {lengths.Max()} tokens, {lengths.Sum()} in all");
    }
}
