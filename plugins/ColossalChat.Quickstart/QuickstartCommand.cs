using System.Diagnostics;
using ColossalChat.Contracts;
using ColossalChat.Quickstart.Data;

namespace ColossalChat.Quickstart;

/// <summary>
/// <c>colossalchat quickstart</c>: makes the data, trains a small bilingual model from nothing through supervised
/// fine-tuning, reward model and PPO, examines it on held-out prompts before and after PPO, and lets you talk to it.
/// </summary>
public sealed class QuickstartCommand : CliCommand<QuickstartOptions>
{
    // Sampling seeds of the examination: the first decides, the others show how much luck there is in it.
    private static readonly ulong[] ExamSeeds = [1, 2, 3];

    /// <inheritdoc/>
    public override string Path => "quickstart";

    /// <inheritdoc/>
    public override string Summary => "Train a small English and Chinese chat model through every stage on built-in data, then chat with it.";

    /// <inheritdoc/>
    protected override async Task<ExitCode> RunAsync(QuickstartOptions options, CliContext context, CancellationToken cancel)
    {
        var total = Stopwatch.StartNew();
        var folder = QuickstartFolder.Create(options.Out);
        var seed = QuickstartSeed.Load();
        context.Error.WriteLine($"Writing data and an untrained model to {folder.Root}");
        folder.WriteData(seed, options);

        var training = Stopwatch.StartNew();
        var stages = new StageRecipe(folder, options, context.Stages);
        var sft = await stages.RunAsync("sft", [$"models.policy.path={folder.Base}"], cancel);
        if (sft.ExitCode != ExitCode.Ok)
            return Ended("sft", sft, context);
        var sftModel = sft.ModelFolders["policy"];

        var reward = await stages.RunAsync("reward-model", [$"models.reward.path={sftModel}"], cancel);
        if (reward.ExitCode != ExitCode.Ok)
            return Ended("reward-model", reward, context);
        var rewardModel = reward.ModelFolders["reward"];

        var ppo = await stages.RunAsync(
            "ppo",
            [$"models.policy.path={sftModel}", $"models.reference.path={sftModel}", $"models.critic.path={rewardModel}", $"models.reward.path={rewardModel}"],
            cancel);
        if (ppo.ExitCode != ExitCode.Ok)
            return Ended("ppo", ppo, context);
        var ppoModel = ppo.ModelFolders["policy"];
        training.Stop();

        context.Error.WriteLine("Examining both models on held-out prompts");
        var questions = QuickstartFiles.ReadHeldOut(folder.HeldOut);
        ulong[] seeds = options.Smoke ? [ExamSeeds[0]] : ExamSeeds;
        var exam = new Exam(seed, questions, context.Node);
        var before = exam.Sit(sftModel, seeds, cancel);
        var after = exam.Sit(ppoModel, seeds, cancel);

        var report = new QuickstartReport(questions, before, after, reward.Metrics, training.Elapsed, total.Elapsed);
        report.Write(folder, context.Out);
        TrainingCurves.Draw(context.Node, sft, reward, ppo, folder.Curves);
        context.Out.WriteLine($"Curves: {folder.Curves}");
        context.Out.WriteLine($"Report: {folder.Report}");
        context.Out.WriteLine($"Model:  {ppoModel}");
        context.Out.WriteLine($"Talk to it again: colossalchat chat --single-turn --model {ppoModel}");
        return options.NoServe ? ExitCode.Ok : await ChatAsync(ppoModel, questions, context, cancel);
    }

    // The stage can go on by itself; the road from one stage to the next is the quickstart's own.
    private static ExitCode Ended(string stage, StageOutcome outcome, CliContext context)
    {
        if (StageRecipe.ResumeCommand(stage, outcome) is { } command)
        {
            context.Error.WriteLine($"Stage {stage} is saved. To finish this stage: {command}");
            context.Error.WriteLine("A quickstart as a whole begins anew, in another --out folder.");
        }

        return outcome.ExitCode;
    }

    private static async Task<ExitCode> ChatAsync(string model, IReadOnlyList<QuickstartRow> questions, CliContext context, CancellationToken cancel)
    {
        string[] examples = [.. questions.GroupBy(question => question.Language).SelectMany(language => language.DistinctBy(question => question.Task).Take(3)).Select(question => question.Prompt)];
        var start = new TerminalChatStart { IsSingleTurn = true, Examples = examples };
        using var opened = context.Node.OpenModel(model, new ModelOpenOptions());
        return await context.Node.Resolve<ITerminalChat>("terminal").RunAsync(opened, start, Console.In, context.Out, cancel);
    }
}
