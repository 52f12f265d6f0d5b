using System.Globalization;

namespace ColossalChat.EndToEndTests;

/// <summary>A model whose training states are larger than the memory that is allowed.</summary>
[Trait("Category", "Full")]
public sealed class OffloadTests
{
    private const long LimitBytes = 2L << 30;
    private const long Gibi = 1L << 30;
    private const int Layers = 17;
    private const int Steps = 3;

    // Master weight, two moments and the gradient sum, float32.
    private const int StateBytes = 16;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(20);

    [DataFact]
    public void Gemini_trains_from_disk_what_does_not_fit_into_memory()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("offload");
        var model = NewModel(root);
        var states = StateBytes * Parameters;
        figures.Check("States beyond the limit", ">= 1 GiB", $"{Size(states - LimitBytes)}", states - LimitBytes >= Gibi);

        var disk = Train(root, model, "disk");
        var losses = disk.ExitCode == 0 ? new TrainingRun(Path.Combine(root, "disk")).Curve("train/loss").Select(point => point.Value).ToArray() : [];
        figures.Check("SFT under 2 GiB of anonymous memory, states on disk", "exit code 0, finite loss",
            $"exit code {disk.ExitCode}, loss {string.Join(", ", losses.Select(loss => loss.ToString("F3", CultureInfo.InvariantCulture)))}{(disk.ExitCode == 0 ? "" : "\n" + Tail(disk.Error))}",
            disk.ExitCode == 0 && losses.Length == Steps && losses.All(double.IsFinite) && losses[^1] < losses[0]);

        // The limit is one: with its states in memory the same run cannot even begin.
        var device = Train(root, model, "device");
        figures.Check("The same with states in memory", "fails for want of memory", $"exit code {device.ExitCode}",
            device.ExitCode != 0 && device.Error.Contains("memory", StringComparison.OrdinalIgnoreCase));
        Directory.Delete(root, recursive: true);
    }

    // Each block: four square matrices, three of the feed-forward layer, two norms.
    private static long Parameters => (Layers * ((4L * 1024 * 1024) + (3L * 1024 * 2816) + (2 * 1024))) + (512 * 1024) + 1024;

    private static HostResult Train(string root, string model, string placement)
    {
        string[] settings =
        [
            $"run.folder={root}", $"run.name={placement}", "run.checkpoint-every=0", "run.samples-every=0", "flow.safe-point-share=0", "stage.evaluate-every=-1",
            $"models.policy.path={model}", "models.policy.precision=bfloat16", "models.policy.initialise=true",
            $"roles.batches.files=[\"{Repository.DataPath("instruct", "alpaca_en_demo.json")}\"]", "roles.batches.batch-size=4", "roles.batches.max-tokens=64", "roles.batches.held-out=0",
            "roles.batches.truncate=true", "roles.trainers.policy.learning-rate=3e-4",
            "roles.trainers.policy.engine.sharding.use=gemini", $"roles.trainers.policy.engine.sharding.placement={placement}",
        ];
        var words = string.Join(' ', settings.Select(setting => $"'{setting}'"));
        var file = Path.Combine(AppContext.BaseDirectory, "Runs", "sft-instruct.hocon");
        return HostProcess.Shell(
            Limit, $"prlimit --data={LimitBytes.ToString(CultureInfo.InvariantCulture)} dotnet '{HostProcess.Home}/ColossalChat.Host.dll' train sft '{file}' {words} --max-steps {Steps}");
    }

    private static string NewModel(string root)
    {
        var folder = Directory.CreateDirectory(Path.Combine(root, "model")).FullName;
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
            {
              "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 512, "hidden_size": 1024, "intermediate_size": 2816,
              "num_hidden_layers": {{Layers}}, "num_attention_heads": 16, "num_key_value_heads": 16, "max_position_embeddings": 128,
              "tie_word_embeddings": true, "hidden_act": "silu", "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2
            }
            """);
        File.Copy(Path.Combine(Repository.DataPath("stories260K"), "tokenizer.model"), Path.Combine(folder, "tokenizer.model"));
        return folder;
    }

    private static string Size(long bytes) => $"{(bytes / (double)Gibi).ToString("F2", CultureInfo.InvariantCulture)} GiB";

    private static string Tail(string text) => text.Length <= 3000 ? text : text[^3000..];
}
