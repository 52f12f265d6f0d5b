using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Folders;
using ColossalChat.Models.Llama;
using ColossalChat.Models.Store;
using ColossalChat.PluginKit;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class ModelStoreTests : IDisposable
{
    private readonly string _root = SmallModel.TemporaryFolder();
    private readonly TestNode _node = SmallModel.Node().With<ITokenizerFormat>("bytes", new ByteFormat()).With<IModelAdapter>("shift", new ShiftAdapter());

    [Fact]
    public void Model_is_loaded_at_first_loan_shared_and_freed_after_the_last()
    {
        using var store = Store(new() { ["policy"] = new ModelSource { Path = Folder("a") } });
        Assert.Equal("bytes-1", store.TextOf("policy").Tokenizer.Hash);
        Assert.Equal("bytes-1", _node.Tokenizer("bytes-1").Hash);
        var (first, second) = (store.Borrow("policy"), store.Borrow("policy"));
        Assert.Same(first.Body, second.Body);
        Assert.True(first.SharesWeightsWith("policy"));
        Assert.False(first.SharesWeightsWith("critic"));
        var weight = first.Body.Embedding.Parameters[0].Value;
        first.Dispose();
        first.Dispose();
        Assert.False(weight.IsInvalid);
        second.Dispose();
        Assert.True(weight.IsInvalid);
        using var third = store.Borrow("policy");
        Assert.Equal(4, third.Generator.Generate([new GenerationRequest { Prompt = new[] { 1, 2 }, MaxNewTokens = 4 }], default)[0].Ids.Length);
    }

    [Fact]
    public void A_copy_has_weights_of_its_own_that_all_its_borrowers_share()
    {
        using var store = Store(new() { ["policy"] = new ModelSource { Path = Folder("a") } });
        using var trained = store.Borrow("policy");
        using var copy = store.BorrowCopy("policy");
        using var again = store.BorrowCopy("policy");
        Assert.Same(copy.Body, again.Body);
        Assert.NotSame(trained.Body, copy.Body);
        Assert.False(copy.SharesWeightsWith("policy"));
        Assert.Equal("policy", copy.Name);
        Assert.Equal(["policy"], store.Borrowed);
        int[] ids = [1, 2, 3];
        var expected = trained.LanguageModel.NextLogProbs(ids, default);
        using (no_grad())
            trained.Body.Embedding.Parameters[0].Value.detach().mul_(1.5);
        Assert.Equal(expected, copy.LanguageModel.NextLogProbs(ids, default));
        Assert.NotEqual(expected, trained.LanguageModel.NextLogProbs(ids, default));
        var weight = copy.Body.Embedding.Parameters[0].Value;
        copy.Dispose();
        Assert.False(weight.IsInvalid);
        again.Dispose();
        Assert.True(weight.IsInvalid);
    }

    [Fact]
    public void Same_as_computes_with_the_adapter_off_and_gives_the_state_back()
    {
        using var store = Store(new()
        {
            ["policy"] = new ModelSource { Path = Folder("a"), Adapter = new PluginChoice<IModelAdapter>("shift") },
            ["reference"] = new ModelSource { SameAs = "policy" },
            ["base"] = new ModelSource { Path = Folder("a") },
        });
        using var policy = store.Borrow("policy");
        using var reference = store.Borrow("reference");
        using var plain = store.Borrow("base");
        Assert.Same(policy.Body, reference.Body);
        Assert.Null(reference.Adapter);
        Assert.False(reference.SharesWeightsWith("policy"));
        int[] ids = [1, 2, 3];
        var expected = plain.LanguageModel.NextLogProbs(ids, default);
        using (reference.Activate())
        {
            Assert.Equal(expected, reference.LanguageModel.NextLogProbs(ids, default));
            using (policy.Activate())
                Assert.NotEqual(expected, policy.LanguageModel.NextLogProbs(ids, default));
            Assert.Equal(expected, reference.LanguageModel.NextLogProbs(ids, default));
        }

        Assert.True(policy.Adapter!.Enabled);
    }

    [Fact]
    public void Export_writes_merged_weights_with_the_adapter_beside_them()
    {
        var sources = new Dictionary<string, ModelSource>
        {
            ["policy"] = new() { Path = Folder("a"), Adapter = new PluginChoice<IModelAdapter>("shift") },
            ["reference"] = new() { SameAs = "policy" },
            ["merged"] = new() { Path = Path.Combine(_root, "merged") },
            ["base"] = new() { Path = Path.Combine(_root, "base") },
        };
        using var store = Store(sources);
        using var policy = store.Borrow("policy");
        using var reference = store.Borrow("reference");
        policy.Export(sources["merged"].Path);
        reference.Export(sources["base"].Path);
        Assert.True(File.Exists(Path.Combine(sources["merged"].Path, "adapter", "adapter.txt")));
        Assert.False(Directory.Exists(Path.Combine(sources["base"].Path, "adapter")));
        using var merged = store.Borrow("merged");
        using var plain = store.Borrow("base");
        foreach (var (original, i) in reference.Body.AllParameters().Select((slot, i) => (slot, i)))
            Assert.True(original.Value.Equals(plain.Body.AllParameters()[i].Value));
        int[] ids = [1, 2, 3];
        var expected = policy.LanguageModel.NextLogProbs(ids, default);
        Assert.All(expected.Zip(merged.LanguageModel.NextLogProbs(ids, default)), pair => Assert.InRange(pair.Second, pair.First - 1e-4, pair.First + 1e-4));
    }

    [Fact]
    public void Value_models_and_models_from_the_seed()
    {
        var folder = Folder("a");
        var bare = Directory.CreateDirectory(Path.Combine(_root, "bare")).FullName;
        File.WriteAllText(Path.Combine(bare, "config.json"), SmallModel.Config());
        using var store = Store(new()
        {
            ["critic"] = new ModelSource { Path = folder, Head = "value" },
            ["new"] = new ModelSource { Path = bare, Initialise = true, Precision = "bfloat16" },
            ["again"] = new ModelSource { Path = Path.Combine(_root, "critic"), Head = "value" },
        });
        using var critic = store.Borrow("critic");
        using var fresh = store.Borrow("new");
        Assert.NotNull(critic.ValueHead);
        Assert.Null(fresh.ValueHead);
        Assert.Equal(ScalarType.BFloat16, fresh.Body.Precision);
        critic.Export(Path.Combine(_root, "critic"));
        using var again = store.Borrow("again");
        using var hidden = rand(3, 32);
        using var expected = critic.ValueHead!.Forward(hidden);
        using var actual = again.ValueHead!.Forward(hidden);
        Assert.True(expected.Equals(actual));
    }

    [Fact]
    public void Store_and_catalog_are_one_object()
    {
        _node.Create(new PluginChoice<IModelStore>("models", new ModelStoreOptions { Models = new Dictionary<string, ModelSource> { ["policy"] = new() { Path = Folder("a") } } }));
        Assert.Equal(["policy"], _node.Resolve<IModelCatalog>("models").Names);
        Assert.Same(_node.Resolve<IModelStore>("models"), _node.Resolve<IModelCatalog>("models"));
    }

    [Fact]
    public void Unknown_names_and_missing_parts_are_errors_that_say_what_to_do()
    {
        using var store = Store(new() { ["policy"] = new ModelSource { Path = _root } });
        Assert.Contains("models are: policy", Assert.Throws<UserErrorException>(() => store.Borrow("critic")).Message, StringComparison.Ordinal);
        Assert.Contains("no tokenizer", Assert.Throws<UserErrorException>(() => Stories0().TextOf("x")).Message, StringComparison.Ordinal);
        ModelStore Stories0() => new(new ModelStoreOptions { Models = new Dictionary<string, ModelSource> { ["x"] = new() { Path = _root } } }, SmallModel.Node());
    }

    [Fact]
    public void A_folder_that_is_not_there_is_named_with_its_key()
    {
        using var store = Store(new() { ["critic"] = new ModelSource { Path = Path.Combine(_root, "nowhere") } });
        var error = Assert.Throws<UserErrorException>(() => store.Borrow("critic"));
        Assert.Equal(ExitCode.NotFound, error.ExitCode);
        Assert.StartsWith($"models.critic.path: the model folder '{Path.Combine(_root, "nowhere")}' of 'critic' does not exist.", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", "is not valid JSON")]
    [InlineData("{\"model_type\": \"gpt7\"}", "has model_type gpt7; allowed here: llama.")]
    public void A_folder_that_cannot_be_built_is_named_with_its_key(string config, string expected)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_root, "foreign")).FullName;
        File.WriteAllText(Path.Combine(folder, "config.json"), config);
        using var store = Store(new() { ["policy"] = new ModelSource { Path = folder } });
        var error = Assert.Throws<UserErrorException>(() => store.TextOf("policy"));
        Assert.StartsWith("models.policy.path: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Problems_of_settings_name_key_value_and_remedy()
    {
        Assert.Equal(
            ["path is missing", "precision is float8", "device is gpu", "head is both", "adapter-path is x"],
            new ModelSource { Precision = "float8", Device = "gpu", Head = "both", AdapterPath = "x" }.Problems().Select(p => p.Split([';', ','])[0]));
        Assert.Contains("same-as is a; it excludes all other keys of this model, and path, head is set too. Remove path, head;", Assert.Single(new ModelSource { SameAs = "a", Path = "b", Head = "value" }.Problems()), StringComparison.Ordinal);
        var options = new ModelStoreOptions
        {
            Models = new Dictionary<string, ModelSource>
            {
                ["a"] = new() { Path = "x" }, ["b"] = new() { SameAs = "a" }, ["c"] = new() { SameAs = "b" }, ["d"] = new() { SameAs = "nobody" },
            },
        };
        Assert.Equal(["b.same-as is a", "c.same-as is b", "d.same-as is nobody"], options.Problems().Select(p => p.Split([',', ';'])[0]));
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private ModelStore Store(Dictionary<string, ModelSource> models) => new(new ModelStoreOptions { Models = models }, _node);

    private string Folder(string name)
    {
        var folder = Path.Combine(_root, name);
        var source = Directory.CreateDirectory(Path.Combine(_root, "source")).FullName;
        File.WriteAllText(Path.Combine(source, "config.json"), SmallModel.Config());
        using var model = SmallModel.Create();
        FolderWriter.Write(ModelFolder.Read(source), folder, model.AllParameters(), [], ScalarType.Float32);
        return folder;
    }

    private sealed class ByteFormat : ITokenizerFormat
    {
        public bool CanOpen(string folder) => true;

        public TextModel Open(string folder) => new(new ByteTokenizer(), new NoTemplate());
    }

    private sealed class NoTemplate : IChatTemplate
    {
        public string Name => "none";

        public IReadOnlyList<int> StopIds => [257];

        public EncodedChat Encode(IReadOnlyList<ChatMessage> messages, bool forAnswer) => new([256], [false]);
    }

    /// <summary>Adds one to each element of the first linear layer's weight.</summary>
    private sealed class ShiftAdapter : IModelAdapter
    {
        public IAttachedAdapter Attach(ICausalModel model, INodeContext context) => new Shift(model.Blocks[0].Linears[0]);
    }

    private sealed class Shift : IAttachedAdapter, ILinearAdapter
    {
        private readonly ILinearSite _site;
        private Tensor? _original;

        public Shift(ILinearSite site) => (_site, site.Adapter) = (site, this);

        public IReadOnlyList<ParameterSlot> Parameters => [];

        public bool Enabled { get; set; } = true;

        public bool Merged => _original is not null;

        public bool Training { get; set; }

        public Tensor Forward(Tensor input, Tensor output) => Enabled && !Merged ? output + input.sum(-1, keepdim: true) : output;

        public void Merge()
        {
            _original = _site.Weight.Value.clone();
            _site.Weight.Value.add_(1);
        }

        public void Unmerge()
        {
            _site.Weight.Value.copy_(_original!);
            _original!.Dispose();
            _original = null;
        }

        public void Save(string folder)
        {
            Directory.CreateDirectory(folder);
            File.WriteAllText(Path.Combine(folder, "adapter.txt"), "shift");
        }

        public void Load(string folder) => throw new NotSupportedException("The test's adapter is never loaded.");

        public void Dispose() => _site.Adapter = null;
    }
}
