using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Rlhf.Support;

/// <summary>Models by name for one test; disposes them with itself.</summary>
internal sealed class TinyStore : IModelStore, IDisposable
{
    private readonly Dictionary<string, TinyLoan> _models = [];

    public IReadOnlyList<string> Names => [.. _models.Keys];

    public IReadOnlyList<string> Borrowed => [.. _models.Values.Where(model => model.Loans > 0).Select(model => model.Name).Order(StringComparer.Ordinal)];

    public int Loans => _models.Values.Sum(model => model.Loans);

    public TinyStore Add(string name, ICausalModel body, bool hasValueHead = false)
    {
        _models[name] = new TinyLoan(name, body, hasValueHead ? new TinyValueHead(body) : null);
        return this;
    }

    public TinyLoan this[string name] => _models[name];

    public IBorrowedModel Borrow(string name)
    {
        var model = _models[name];
        model.Loans++;
        return model;
    }

    public void Dispose()
    {
        foreach (var model in _models.Values)
            model.Free();
    }
}

/// <summary>A model whose loan costs nothing; it must be active while it computes.</summary>
internal sealed class TinyLoan(string name, ICausalModel body, IOutputHead? valueHead) : IBorrowedModel
{
    public string Name => name;

    public string DeviceName => "cpu";

    public ICausalModel Body => body;

    public IOutputHead? ValueHead => valueHead;

    public IAttachedAdapter? Adapter => null;

    public TextModel Text { get; } = new(new ByteTokenizer(), new PlainBytes());

    public ITextGenerator Generator => new TinyGenerator(body, () => IsActive);

    public ILanguageModel LanguageModel => throw new NotSupportedException();

    public bool IsActive { get; private set; }

    public int Loans { get; set; }

    public string? ExportedTo { get; private set; }

    public IDisposable Activate()
    {
        IsActive = true;
        return new Activation(this);
    }

    public bool SharesWeightsWith(string trained) => trained == name;

    public IReadOnlyList<ParameterSlot> ExportedParameters => [];

    public void Export(string folder, Func<ParameterSlot, IDisposable>? read = null) => ExportedTo = folder;

    public void Dispose() => Loans--;

    public void Free()
    {
        body.Dispose();
        foreach (var slot in valueHead?.Parameters ?? [])
            slot.Value.Dispose();
    }

    private sealed class Activation(TinyLoan loan) : IDisposable
    {
        public void Dispose() => loan.IsActive = false;
    }

    private sealed class PlainBytes : IChatTemplate
    {
        public string Name => "plain";

        public IReadOnlyList<int> StopIds => [257];

        public EncodedChat Encode(IReadOnlyList<ChatMessage> messages, bool forAnswer)
        {
            var ids = new ByteTokenizer().EncodeDocument(string.Concat(messages.Select(message => message.Text))).Append(257).ToArray();
            return new EncodedChat(ids, [.. ids.Select((_, i) => i == ids.Length - 1)]);
        }
    }
}

/// <summary>Final norm and one output.</summary>
internal sealed class TinyValueHead : IOutputHead
{
    private readonly ICausalModel _body;

    public TinyValueHead(ICausalModel body)
    {
        _body = body;
        var key = new RandomKey(5, RandomPurpose.Initialisation);
        var weight = Enumerable.Range(0, body.Shape.HiddenSize).Select(i => (float)(0.3 * key.Normal(i))).ToArray();
        Parameters = [.. body.FinalNorm.Parameters, new ParameterSlot("value", tensor(weight, [1, weight.Length]).DetachFromDisposeScope())];
    }

    public IReadOnlyList<ParameterSlot> Parameters { get; }

    public IReadOnlyList<ILinearSite> Linears => [];

    public Tensor Forward(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        return nn.functional.linear(_body.Normalise(hidden).to(float32), Parameters[^1].Value).squeeze(-1).MoveToOuterDisposeScope();
    }
}

/// <summary>Writes token by token with whole forward passes: slow, and simple enough to be right.</summary>
internal sealed class TinyGenerator(ICausalModel body, Func<bool> isActive) : ITextGenerator
{
    public int ContextLength => body.Shape.ContextLength;

    public IAsyncEnumerable<TokenEvent> Submit(GenerationRequest request, CancellationToken cancel) => throw new NotSupportedException();

    public IReadOnlyList<GeneratedText> Generate(IReadOnlyList<GenerationRequest> requests, CancellationToken cancel)
    {
        Xunit.Assert.True(isActive(), "generation outside Activate");
        return [.. requests.Select(Answer)];
    }

    // Answer by answer, so a change meets each at its own token.
    public IReadOnlyList<GeneratedText> Generate(IReadOnlyList<GenerationRequest> requests, Func<bool> changed, CancellationToken cancel)
    {
        Xunit.Assert.True(isActive(), "generation outside Activate");
        var before = 0;
        return [.. requests.Select(request =>
        {
            var changes = new List<int>();
            var answer = Answer(request, () =>
            {
                before += changed() ? 1 : 0;
                changes.Add(before);
            });
            return answer with { Changes = [.. changes] };
        })];
    }

    private GeneratedText Answer(GenerationRequest request) => Answer(request, () => { });

    private GeneratedText Answer(GenerationRequest request, Action beforeToken)
    {
        var ids = request.Prompt.ToArray().ToList();
        var logProbs = new List<float>();
        while (logProbs.Count < request.MaxNewTokens)
        {
            beforeToken();
            var next = NextLogProbs(ids, request.Sampling.Temperature);
            var (u, token) = (request.Key.Uniform(logProbs.Count), 0);
            for (var sum = Math.Exp(next[0]); sum < u && token < next.Length - 1; sum += Math.Exp(next[token]))
                token++;
            ids.Add(token);
            // Under top-k a drawn token is likelier than in the whole distribution; by how much does not matter here.
            logProbs.Add(request.Sampling.TopK > 0 ? next[token] / 2 : next[token]);
            if (request.StopIds.Contains(token))
                return Finish(FinishReason.Stop);
        }

        return Finish(FinishReason.Length);

        GeneratedText Finish(FinishReason reason) => new([.. ids.Skip(request.Prompt.Length)], [.. logProbs], "", reason);
    }

    private float[] NextLogProbs(List<int> ids, double temperature)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var hidden = body.Embed(tensor(ids.Select(id => (long)id).ToArray(), [1, ids.Count]));
        foreach (var block in body.Blocks)
            hidden = block.Forward(hidden, new SequenceLayout([ids.Count], ids.Count));
        return TensorData.ToFloats((body.LanguageHead.Forward(hidden[0, -1].unsqueeze(0)) / temperature).log_softmax(-1));
    }
}
