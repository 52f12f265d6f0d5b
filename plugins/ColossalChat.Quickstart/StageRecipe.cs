using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Quickstart.Data;

namespace ColossalChat.Quickstart;

/// <summary>
/// Runs the stages from the recipe files beside this class (<c>Recipe/*.hocon</c>): ordinary configuration files, good
/// to copy for runs of your own.
/// </summary>
/// <param name="folder">Where things go.</param>
/// <param name="options">Flags.</param>
/// <param name="stages">The host's stage runner.</param>
public sealed class StageRecipe(QuickstartFolder folder, QuickstartOptions options, IStageRunner stages)
{
    // What --smoke takes off each stage.
    private static readonly Dictionary<string, string[]> SmokeSettings = new()
    {
        ["sft"] = ["roles.batches.epochs=1"],
        ["reward-model"] = ["roles.batches.epochs=1"],
        ["ppo"] = ["stage.iterations=2", "stage.prompts-per-iteration=16", "stage.rows-per-batch=16"],
    };

    /// <summary>Rows of each data file.</summary>
    public static QuickstartSizes Sizes(QuickstartOptions options) => options.Smoke
        ? new QuickstartSizes { Demonstrations = 128, Preferences = 128, Prompts = 64 }
        : new QuickstartSizes();

    /// <summary>Writes config.json and the names of template and special tokens; the host draws the weights from the seed.</summary>
    public static void WriteModelShape(string baseFolder, int vocabularySize)
    {
        var shape = JsonNode.Parse(Resource("model.json"))!.AsObject();
        shape["vocab_size"] = vocabularySize;
        shape["bos_token_id"] = null;
        shape["eos_token_id"] = QuickstartTokenizer.TurnEndId;
        File.WriteAllText(Path.Combine(baseFolder, "config.json"), shape.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
        File.WriteAllText(Path.Combine(baseFolder, "colossalchat.json"), """{ "chat_template": "chatml" }""");
        var special = new JsonObject
        {
            [QuickstartTokenizer.EndOfText] = QuickstartTokenizer.EndOfTextId,
            [QuickstartTokenizer.TurnStart] = QuickstartTokenizer.TurnStartId,
            [QuickstartTokenizer.TurnEnd] = QuickstartTokenizer.TurnEndId,
        };
        File.WriteAllText(Path.Combine(baseFolder, "added_tokens.json"), special.ToJsonString());
    }

    /// <summary>Runs one stage with its recipe.</summary>
    /// <param name="stage">Name of the stage and of its recipe file.</param>
    /// <param name="models">Settings that name the model folders.</param>
    /// <param name="cancel">Stops after a checkpoint.</param>
    public Task<StageOutcome> RunAsync(string stage, IReadOnlyList<string> models, CancellationToken cancel) =>
        stages.RunAsync(
            Resource($"{stage}.hocon"),
            [
                $"seed={options.Seed}",
                $"run.folder={folder.Runs}",
                $"run.name={stage}",
                .. Files(stage),
                .. models,
                .. options.Smoke ? SmokeSettings[stage] : [],
            ],
            cancel);

    /// <summary>The command that goes on with a stage that was stopped; null when it has no checkpoint.</summary>
    /// <param name="stage">Name of the stage.</param>
    /// <param name="outcome">How it ended.</param>
    public static string? ResumeCommand(string stage, StageOutcome outcome)
    {
        var checkpoints = Path.Combine(outcome.RunFolder, "checkpoints");
        if (outcome.RunFolder.Length == 0 || !Directory.Exists(checkpoints) || !Directory.EnumerateDirectories(checkpoints, "step-*").Any())
            return null;
        var (file, folder) = (Quoted(Path.Combine(outcome.RunFolder, "config.effective.hocon")), Quoted(outcome.RunFolder));
        return $"colossalchat train {stage} {file} --resume {folder}";
    }

    private static string Quoted(string word) => $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private IEnumerable<string> Files(string stage) => stage switch
    {
        "sft" => [$"roles.batches.files=[\"{Path.Combine(folder.Data, "sft.jsonl")}\"]"],
        "reward-model" =>
        [
            $"roles.batches.files=[\"{Path.Combine(folder.Data, "preferences.jsonl")}\"]",
            $"roles.batches.held-out-files=[\"{Path.Combine(folder.Data, "held-out-preferences.jsonl")}\"]",
        ],
        _ => [$"roles.prompts.files=[\"{Path.Combine(folder.Data, "prompts.jsonl")}\"]"],
    };

    private static string Resource(string name)
    {
        var assembly = Assembly.GetExecutingAssembly();
        using var stream = assembly.GetManifestResourceStream($"ColossalChat.Quickstart.Recipe.{name}")
            ?? throw new InvalidOperationException($"Resource Recipe/{name} is missing from {assembly.GetName().Name}.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
