using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Lora;
using Xunit;

namespace ColossalChat.UnitTests.Lora;

[Trait("Category", "CI")]
public sealed class AdapterFolderTests : IDisposable
{
    private static readonly LoraOptions Options = new() { Rank = 2, Alpha = 4, TargetPatterns = ["q_proj", "v_proj"], BaseModel = "models/tiny" };
    private readonly string _folder = Directory.CreateTempSubdirectory("adapter-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_same_numbers_come_out_When_a_saved_adapter_is_loaded()
    {
        using var model = new SiteModel();
        float[] saved;
        using (var adapter = LoraTests.Trained(model, Options))
        {
            adapter.Save(_folder);
            using var logits = model.Logits(1, 2, 3);
            saved = LoraTests.Floats(logits);
        }

        using var loaded = LoraTests.Attach(model, Options);
        loaded.Load(_folder);

        using var again = model.Logits(1, 2, 3);
        Assert.Equal(saved, LoraTests.Floats(again));
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors"], Directory.GetFiles(_folder).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_merged_model_shows_the_new_weights_When_another_adapter_is_loaded()
    {
        using var model = new SiteModel();
        using (var adapter = LoraTests.Trained(model, Options))
            adapter.Save(_folder);
        using var other = LoraTests.Attach(model, Options);
        other.Merge();
        using var before = model.Logits(1, 2, 3);

        other.Load(_folder);

        Assert.True(other.Merged);
        using var after = model.Logits(1, 2, 3);
        Assert.NotEqual(LoraTests.Floats(before), LoraTests.Floats(after));
    }

    [Fact]
    public void The_configuration_is_PEFTs_When_saved()
    {
        using var model = new SiteModel();
        using var adapter = LoraTests.Attach(model, Options);

        adapter.Save(_folder);

        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "adapter_config.json")))!;
        Assert.Equal("LORA", (string?)config["peft_type"]);
        Assert.Equal("CAUSAL_LM", (string?)config["task_type"]);
        Assert.Equal("models/tiny", (string?)config["base_model_name_or_path"]);
        Assert.Equal(2, (int?)config["r"]);
        Assert.Equal("4", config["lora_alpha"]!.ToJsonString());
        Assert.Equal(["q_proj", "v_proj"], config["target_modules"]!.AsArray().Select(target => (string?)target));
    }

    [Fact]
    public void Wildcards_are_written_out_as_layer_names_When_saved()
    {
        using var model = new SiteModel();
        using var adapter = LoraTests.Attach(model, Options with { TargetPatterns = ["*.0.*.?_proj"] });

        adapter.Save(_folder);

        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "adapter_config.json")))!;
        Assert.Equal(
            ["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj", "model.layers.0.self_attn.v_proj", "model.layers.0.self_attn.o_proj"],
            config["target_modules"]!.AsArray().Select(target => (string?)target));
    }

    [Theory]
    [InlineData("r", "3", "r is 3 in '*'; set rank to it (it is 2 here).")]
    [InlineData("lora_alpha", "32", "lora_alpha is 32 in '*'; set alpha to it (it is 4 here).")]
    [InlineData("peft_type", "\"IA3\"", "peft_type is \"IA3\" in '*'; only LoRA adapters can be read.")]
    [InlineData("use_dora", "true", "use_dora is true in '*'; DoRA is not supported.")]
    [InlineData("bias", "\"all\"", "bias is \"all\" in '*'; biases are not trained here.")]
    public void The_setting_is_named_When_it_differs_from_the_saved_one(string key, string json, string message)
    {
        using var model = new SiteModel();
        using var adapter = LoraTests.Attach(model, Options);
        adapter.Save(_folder);
        var file = Path.Combine(_folder, "adapter_config.json");
        var config = JsonNode.Parse(File.ReadAllText(file))!;
        config[key] = JsonNode.Parse(json);
        File.WriteAllText(file, config.ToJsonString());

        var error = Assert.Throws<UserErrorException>(() => adapter.Load(_folder));

        Assert.Equal(message.Replace("*", file, StringComparison.Ordinal), error.Message);
    }

    [Fact]
    public void The_tensor_is_named_When_it_is_missing_or_extra()
    {
        using var model = new SiteModel();
        using (var adapter = LoraTests.Attach(model, Options))
            adapter.Save(_folder);

        var missing = Assert.Throws<UserErrorException>(() =>
            LoadInto(model, Options with { TargetPatterns = ["q_proj", "k_proj", "v_proj"] }));
        var extra = Assert.Throws<UserErrorException>(() =>
            LoadInto(model, Options with { TargetPatterns = ["q_proj"] }));

        Assert.Contains("has no tensor 'base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight'", missing.Message, StringComparison.Ordinal);
        Assert.Contains("has a tensor 'base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight'", extra.Message, StringComparison.Ordinal);
        Assert.All(model.Blocks.SelectMany(block => block.Linears), site => Assert.Null(site.Adapter));
    }

    [Fact]
    public void The_shape_is_named_When_a_tensor_is_of_another_model()
    {
        using (var wide = new SiteModel(hidden: 16))
        using (var adapter = LoraTests.Attach(wide, Options))
            adapter.Save(_folder);
        using var model = new SiteModel();

        var error = Assert.Throws<UserErrorException>(() => LoadInto(model, Options));

        Assert.Contains("has shape [2, 16]; this model needs [2, 8]", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(100)]
    [InlineData(-1)]
    [InlineData(-400)]
    public void A_cut_file_is_an_error_and_never_a_crash_When_loaded(int length)
    {
        using var model = new SiteModel();
        using var adapter = LoraTests.Attach(model, Options);
        adapter.Save(_folder);
        var file = Path.Combine(_folder, "adapter_model.safetensors");
        var bytes = File.ReadAllBytes(file);
        File.WriteAllBytes(file, bytes[..(length < 0 ? bytes.Length + length : length)]);

        var error = Assert.Throws<UserErrorException>(() => adapter.Load(_folder));

        Assert.Contains("is no whole safetensors file", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_file_begins_as_the_format_says_When_written()
    {
        var file = Path.Combine(_folder, "x.safetensors");

        Safetensors.Write(file, [new SafetensorsEntry("a", "F32", [2], [0, 0, 128, 63, 0, 0, 0, 64]), new SafetensorsEntry("b", "U8", [1], [7])]);

        var bytes = File.ReadAllBytes(file);
        var header = BitConverter.ToInt64(bytes, 0);
        Assert.Equal(0, header % 8);
        Assert.Equal((byte)'{', bytes[8]);
        Assert.Equal(7, bytes[^1]);
        Assert.Equal(8 + header + 9, bytes.Length);
        Assert.Equal(["a", "b"], Safetensors.Read(file).Select(tensor => tensor.Name));
    }

    [Fact]
    public void Options_name_every_wrong_value_When_checked()
    {
        var problems = new LoraOptions { Rank = 0, Alpha = 0, Dropout = 1, TargetPatterns = [] }.Problems().ToList();

        Assert.Equal(["rank", "alpha", "dropout", "target-patterns"], problems.Select(problem => problem.Split(' ')[0]));
        Assert.Empty(new LoraOptions().Problems());
    }

    private void LoadInto(SiteModel model, LoraOptions options)
    {
        using var adapter = LoraTests.Attach(model, options);
        adapter.Load(_folder);
    }
}
