using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Models.Folders;
using ColossalChat.Models.Heads;
using ColossalChat.Models.Llama;
using ColossalChat.Models.Safetensors;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class ModelFolderTests : IDisposable
{
    private readonly string _root = SmallModel.TemporaryFolder();

    [Theory]
    [InlineData(true, 5_000_000_000)]
    [InlineData(false, 5_000_000_000)]
    [InlineData(false, 20_000)]
    [InlineData(true, 1)]
    public void Written_folder_loads_to_the_same_bits(bool tied, long largestShard)
    {
        using var model = SmallModel.Create(tied);
        var target = Path.Combine(_root, "out");
        var source = Source(tied, ", \"my_field\": {\"kept\": [1, 2]}");
        FolderWriter.Write(source, target, model.AllParameters(), [], ScalarType.Float32, largestShard: largestShard);
        using var again = ModelFolder.Read(target).LoadLanguageModel(SmallModel.Node(), ScalarType.Float32, CPU, null);
        foreach (var (a, b) in model.AllParameters().Zip(again.AllParameters()))
            Assert.True(a.Value.Equals(b.Value), a.Name);
        using var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(target, "config.json")));
        Assert.Equal(2, config.RootElement.GetProperty("my_field").GetProperty("kept")[1].GetInt32());
        Assert.Equal("hello", File.ReadAllText(Path.Combine(target, "tokenizer.model")));
        Assert.False(Directory.Exists(target + ".part"));
        Assert.Equal(largestShard < 1_000_000, File.Exists(Path.Combine(target, WeightFiles.IndexName)));
    }

    [Fact]
    public void Written_precision_is_what_config_says_and_rounds_once()
    {
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create();
        var target = Path.Combine(_root, "out");
        FolderWriter.Write(Source(true), target, model.AllParameters(), [], ScalarType.BFloat16);
        var folder = ModelFolder.Read(target);
        Assert.Equal(ScalarType.BFloat16, folder.SavedPrecision());
        using var again = folder.LoadLanguageModel(SmallModel.Node(), ScalarType.Float32, CPU, null);
        foreach (var (a, b) in model.AllParameters().Zip(again.AllParameters()))
            Assert.True(a.Value.to(ScalarType.BFloat16).to(ScalarType.Float32).Equals(b.Value), a.Name);
    }

    [Fact]
    public void Each_missing_misshapen_or_extra_tensor_is_named()
    {
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create(tied: false);
        var target = Path.Combine(_root, "out");
        FolderWriter.Write(Source(false), target, model.AllParameters(), [], ScalarType.Float32);
        var all = model.AllParameters().Select(slot => (slot.Name, slot.Value)).ToArray();
        for (var i = 0; i < all.Length; i++)
        {
            var name = all[i].Name;
            Assert.Contains($"tensor {name} [", Fault(target, [.. all[..i], .. all[(i + 1)..]]), StringComparison.Ordinal);
            Assert.Contains($"tensor {name} has shape", Fault(target, [.. all[..i], (name, all[i].Value.unsqueeze(0)), .. all[(i + 1)..]]), StringComparison.Ordinal);
            Assert.Contains($"tensor {name}.more is extra", Fault(target, [.. all, (name + ".more", ones(1))]), StringComparison.Ordinal);
        }

        SafetensorsWriter.Write(Path.Combine(target, WeightFiles.SingleName), [.. all, ("model.layers.0.self_attn.rotary_emb.inv_freq", ones(4))], ScalarType.Float32);
        ModelFolder.Read(target).LoadLanguageModel(SmallModel.Node(), ScalarType.Float32, CPU, null).Dispose();
    }

    [Fact]
    public void Tied_head_may_be_written_twice_When_both_copies_agree()
    {
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create();
        var target = Path.Combine(_root, "out");
        FolderWriter.Write(Source(true), target, model.AllParameters(), [], ScalarType.Float32);
        var all = model.AllParameters().Select(slot => (slot.Name, slot.Value)).ToArray();
        SafetensorsWriter.Write(Path.Combine(target, WeightFiles.SingleName), [.. all, ("lm_head.weight", all[0].Value)], ScalarType.Float32);
        ModelFolder.Read(target).LoadLanguageModel(SmallModel.Node(), ScalarType.Float32, CPU, null).Dispose();
        Assert.Contains("tensor lm_head.weight is extra", Fault(target, [.. all, ("lm_head.weight", all[0].Value + 1)]), StringComparison.Ordinal);
    }

    [Fact]
    public void Broken_shard_lists_are_refused()
    {
        using var model = SmallModel.Create();
        var target = Path.Combine(_root, "out");
        FolderWriter.Write(Source(true), target, model.AllParameters(), [], ScalarType.Float32, largestShard: 20_000);
        var index = Path.Combine(target, WeightFiles.IndexName);
        var good = File.ReadAllText(index);
        var shards = Directory.GetFiles(target, "model-*.safetensors").Order(StringComparer.Ordinal).ToArray();
        Assert.True(shards.Length > 2);
        foreach (var (text, expected) in new[]
        {
            ("{", "is broken"), ("{\"weight_map\": {\"a\": \"../../secret\"}}", "must lie in the folder"),
            (good.Replace("model.norm.weight", "model.norm.wait", StringComparison.Ordinal), "model.norm"),
        })
        {
            File.WriteAllText(index, text);
            Assert.Contains(expected, Assert.Throws<UserErrorException>(() => WeightFiles.Open(target)).Message, StringComparison.Ordinal);
        }

        File.WriteAllText(index, good);
        File.Delete(shards[1]);
        Assert.Contains(shards[1], Assert.Throws<UserErrorException>(() => WeightFiles.Open(target)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Value_model_starts_from_a_language_model_and_round_trips()
    {
        using var scope = NewDisposeScope();
        using var language = SmallModel.Create(tied: false);
        var (first, second) = (Path.Combine(_root, "language"), Path.Combine(_root, "value"));
        FolderWriter.Write(Source(false), first, language.AllParameters(), [], ScalarType.Float32);
        var folder = ModelFolder.Read(first);
        var key = new RandomKey(3, RandomPurpose.Initialisation, 1);
        using var model = folder.LoadValueModel(SmallModel.Node(), ScalarType.Float32, CPU, null, key);
        var head = (ValueHead)model.ValueHead;
        Assert.True(language.Embedding.Parameters[0].Value.Equals(model.Body.Embedding.Parameters[0].Value));
        FolderWriter.Write(folder, second, model.Body.BodyParameters(), [head.Weight, head.Bias], ScalarType.Float32);
        using var weights = WeightFiles.Open(second);
        Assert.DoesNotContain("lm_head.weight", weights.Tensors.Keys);
        using var again = ModelFolder.Read(second).LoadValueModel(SmallModel.Node(), ScalarType.Float32, CPU, null, key with { Seed = 77 });
        Assert.True(head.Weight.Value.Equals(((ValueHead)again.ValueHead).Weight.Value));
        Assert.Contains("lm_head.weight", Assert.Throws<UserErrorException>(() => ModelFolder.Read(second).LoadLanguageModel(SmallModel.Node(), ScalarType.Float32, CPU, null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Export_replaces_a_model_folder_but_nothing_else()
    {
        using var model = SmallModel.Create();
        var target = Path.Combine(_root, "out");
        for (var i = 0; i < 2; i++)
            FolderWriter.Write(Source(true), target, model.AllParameters(), [], ScalarType.Float32);
        var other = Directory.CreateDirectory(Path.Combine(_root, "precious")).FullName;
        File.WriteAllText(Path.Combine(other, "thesis.txt"), "mine");
        Assert.Throws<UserErrorException>(() => FolderWriter.Write(Source(true), other, model.AllParameters(), [], ScalarType.Float32));
        Assert.True(File.Exists(Path.Combine(other, "thesis.txt")));
    }

    [Fact]
    public void Half_written_folder_leaves_the_old_one_as_it_was()
    {
        using var model = SmallModel.Create();
        var target = Path.Combine(_root, "out");
        FolderWriter.Write(Source(true), target, model.AllParameters(), [], ScalarType.Float32);
        var before = File.ReadAllBytes(Path.Combine(target, WeightFiles.SingleName));
        Assert.Throws<IOException>(() => FolderWriter.Write(Source(true), target, model.AllParameters(), [], ScalarType.BFloat16, _ => throw new IOException("disk full")));
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(target, WeightFiles.SingleName)));
    }

    [Theory]
    [InlineData("{}", "no model_type")]
    [InlineData("{", "is broken")]
    [InlineData("{\"model_type\": \"gpt7\"}", "model_type gpt7")]
    public void Config_that_is_no_model_is_refused(string config, string expected)
    {
        File.WriteAllText(Path.Combine(_root, "config.json"), config);
        var error = Assert.Throws<UserErrorException>(() => ModelFolder.Read(_root).LoadLanguageModel(SmallModel.Node(), ScalarType.Float32, CPU, null));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.False(SmallModel.Node().Resolve<IModelFormat>("hugging-face").CanOpen(_root));
        var opening = Assert.Throws<UserErrorException>(() => SmallModel.Node().OpenModel(_root, new ModelOpenOptions()));
        Assert.StartsWith("No model format understands", opening.Message, StringComparison.Ordinal);
        Assert.Contains(expected, opening.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Quantised_folders_are_left_to_another_format()
    {
        var source = Source(true, ", \"quantization_config\": {\"bits\": 4}");
        Assert.False(SmallModel.Node().Resolve<IModelFormat>("hugging-face").CanOpen(source.Path));
        Assert.True(SmallModel.Node().Resolve<IModelFormat>("hugging-face").CanOpen(Source(false).Path));
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private static string Fault(string folder, (string Name, Tensor Value)[] tensors)
    {
        SafetensorsWriter.Write(Path.Combine(folder, WeightFiles.SingleName), tensors, ScalarType.Float32);
        return Assert.Throws<UserErrorException>(() => ModelFolder.Read(folder).LoadLanguageModel(SmallModel.Node(), ScalarType.Float32, CPU, null)).Message;
    }

    private ModelFolder Source(bool tied, string extra = "")
    {
        var folder = Directory.CreateDirectory(Path.Combine(_root, $"source-{tied}-{extra.Length}")).FullName;
        File.WriteAllText(Path.Combine(folder, "config.json"), SmallModel.Config(tied, extra: extra));
        File.WriteAllText(Path.Combine(folder, "tokenizer.model"), "hello");
        File.WriteAllText(Path.Combine(folder, "pytorch_model.bin"), "weights");
        return ModelFolder.Read(folder);
    }
}
