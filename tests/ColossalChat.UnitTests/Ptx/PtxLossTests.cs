using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Engine;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using ColossalChat.Ptx;
using ColossalChat.UnitTests.Lora;
using ColossalChat.UnitTests.Rlhf.Support;
using ColossalChat.Zero;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Ptx;

[Trait("Category", "CI")]
public sealed class PtxLossTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ptx-").FullName;

    private readonly TinyStore _store = new TinyStore().Add("policy", new TinyModel(vocabulary: 258, context: 256));

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        _store.Dispose();
    }

    [Fact]
    public void Nothing_is_added_When_the_coefficient_is_0_and_no_text_is_named()
    {
        using var loss = new PtxLoss(new PtxOptions { Coefficient = 0 }, new TestNode());

        Assert.Null(loss.Next(CPU));
    }

    [Fact]
    public void Steps_take_every_row_once_an_epoch_in_another_order_each_time_When_text_is_small()
    {
        using var loss = Loss(rows: 6, rowsPerStep: 3);

        var first = Rows(loss).Concat(Rows(loss)).ToArray();
        var second = Rows(loss).Concat(Rows(loss)).ToArray();

        Assert.Equal(6, first.Distinct().Count());
        Assert.Equal(first.Order(), second.Order());
        Assert.NotEqual(first, second);
    }

    [Fact]
    public void The_stream_goes_on_where_it_was_When_restored()
    {
        using var unbroken = Loss(rows: 20, rowsPerStep: 3);
        using var resumed = Loss(rows: 20, rowsPerStep: 3);
        for (var i = 0; i < 9; i++)
            Rows(unbroken);
        var state = new MemoryState();
        unbroken.Capture(state);

        resumed.Restore(state);

        for (var i = 0; i < 9; i++)
            Assert.Equal(Rows(unbroken), Rows(resumed));
    }

    [Fact]
    public void The_loss_is_the_mean_over_its_own_tokens_however_it_is_cut_When_rows_are_ragged()
    {
        using var model = new SiteModel(vocabulary: 258);
        var whole = Gradients(model, Loss(rows: 5, rowsPerStep: 5), coefficient: 1, out var wholeLoss);
        var pieces = Gradients(model, Loss(rows: 5, rowsPerStep: 5, microBatchTokens: 20), coefficient: 1, out var piecesLoss);

        Assert.Equal(wholeLoss, piecesLoss, 5);
        LoraTests.AssertClose(whole, pieces, 1e-6);
        using var scope = NewDisposeScope();
        using var again = Loss(rows: 5, rowsPerStep: 5);
        var part = again.Next(CPU)!;
        var expected = 0.0;
        var count = 0;
        foreach (var batch in part.Window)
        {
            var logProbs = Output(model, batch).log_softmax(-1).gather(1, batch.Targets.unsqueeze(1));
            expected -= logProbs.sum().item<float>();
            count += batch.TargetCount;
            batch.Dispose();
        }

        Assert.Equal(expected / count, wholeLoss, 4);
    }

    [Fact]
    public void The_loss_and_its_gradient_are_the_same_When_the_policy_window_is_of_any_size()
    {
        // The engine gives each part its own totals; a loss that read other totals would change with the policy's rows.
        var (alone, loss) = EngineUpdate(0, withPtx: true);
        Assert.InRange(loss, 1, 20);
        Assert.Contains(alone, value => Math.Abs(value) > 1e-2);
        foreach (var rows in (int[])[1, 50])
        {
            var (policy, _) = EngineUpdate(rows, withPtx: false);
            var (both, beside) = EngineUpdate(rows, withPtx: true);
            Assert.Contains(policy, value => Math.Abs(value) > 1e-2);
            Assert.Equal(loss, beside, 1e-6);
            LoraTests.AssertClose(alone, [.. both.Zip(policy, (a, b) => a - b)], 1e-4);
        }
    }

    [Fact]
    public void Both_numbers_are_named_When_rows_are_longer_than_the_models_context()
    {
        var file = Write("text.txt", "abc");
        PtxLoss Build(int maxTokens) => new(new PtxOptions { Files = [file], MaxTokens = maxTokens }, Node());

        var error = Assert.Throws<UserErrorException>(() => Build(257));

        Assert.Contains("max-tokens of ptx is 257, but models.policy takes 256 tokens", error.Message, StringComparison.Ordinal);
        Build(256).Dispose();
        Assert.Equal(0, _store.Loans);
    }

    [Fact]
    public void Its_gradient_is_added_to_the_policys_When_both_run()
    {
        using var model = new SiteModel(vocabulary: 258);
        var ptx = Gradients(model, Loss(rows: 4, rowsPerStep: 2), 0.5, out _);
        var policy = Gradients(model, null, 1, out _);

        var both = Gradients(model, Loss(rows: 4, rowsPerStep: 2), 0.5, out _, withPolicy: true);

        LoraTests.AssertClose([.. ptx.Zip(policy, (a, b) => a + b)], both, 1e-6);
        Assert.Contains(ptx, value => Math.Abs(value) > 1e-4);
    }

    [Fact]
    public void Its_iterations_begin_again_after_the_last_When_it_reads_a_batch_source()
    {
        var source = new CountingSource(3);
        using var loss = new PtxLoss(
            new PtxOptions { Data = new PluginChoice<IBatchSource>("sft-batches") }, new TestNode().With<IBatchSource>("sft-batches", source));

        for (var i = 0; i < 5; i++)
            Rows(loss);

        Assert.Equal([1, 2, 3, 1, 2], source.Taken);
    }

    [Fact]
    public void No_tensor_is_left_over_When_a_step_is_done()
    {
        using var model = new SiteModel(vocabulary: 258);
        using var loss = Loss(rows: 4, rowsPerStep: 2);

        LiveTensors.StayConstant(() =>
        {
            var part = loss.Next(CPU)!;
            foreach (var batch in part.Window)
            {
                using var output = Output(model, batch);
                part.Objective.Evaluate(output, batch, MicroBatches.Totals(part.Window)).Loss.Dispose();
                batch.Dispose();
            }
        });
    }

    [Fact]
    public void Every_token_but_the_first_is_predicted_once_When_a_text_is_cut()
    {
        var tokenizer = new ByteTokenizer();
        var whole = tokenizer.EncodeDocument("abcdefghijk");

        var rows = PlainText.Cut(["abcdefghijk", ""], tokenizer, 5);

        Assert.Equal([5, 5, 4], rows.Select(row => row.Length));
        Assert.Equal(whole.Skip(1), rows.SelectMany(row => row.Skip(1)));
        Assert.Equal(whole[0], rows[0][0]);
        Assert.Equal(rows[0][^1], rows[1][0]);
    }

    [Theory]
    [InlineData("a.txt", "one\n\n two\nlines \r\n\r\nthree\n", "one|two\nlines|three")]
    [InlineData("a.jsonl", "{\"text\":\"one\"}\n\n{\"text\":\"two\",\"id\":3}\n", "one|two")]
    public void Texts_are_paragraphs_or_rows_When_read(string name, string content, string expected)
    {
        Assert.Equal(expected.Split('|'), PlainText.Read([Write(name, content)], BadRows.Fail).Texts);
    }

    [Theory]
    [InlineData("a.jsonl", "{\"text\":\"one\"}\n{\"instruction\":\"x\"}", "row 2 has no \"text\"")]
    [InlineData("a.jsonl", "{\"text\":", "row 1 is no JSON")]
    [InlineData("a.txt", " \n\n ", "holds no text")]
    [InlineData("a.json", "[]", "is no .txt or .jsonl")]
    public void The_file_and_row_are_named_When_text_is_broken(string name, string content, string message)
    {
        var file = Write(name, content);

        var error = Assert.Throws<UserErrorException>(() => PlainText.Read([file], BadRows.Fail));

        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Contains(file, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Malformed_rows_are_left_out_and_reported_unless_they_are_fatal()
    {
        File.WriteAllBytes(Path.Combine(_folder, "a.jsonl"), [.. "\uFEFF{\"text\":\"one\"}\n{\"text\":5}\n{\"text\":\""u8, 0xFF, .. "\"}\n{\"text\":\"two\",\"text\":\"x\"}\nno\n{\"text\":\"three\"}"u8]);
        File.WriteAllBytes(Path.Combine(_folder, "b.txt"), [.. "four\n\n"u8, 0xFF, .. "\n\nfive"u8]);
        string[] files = [Path.Combine(_folder, "a.jsonl"), Path.Combine(_folder, "b.txt")];

        var (texts, problems) = PlainText.Read(files, BadRows.Skip);

        Assert.Equal(["one", "three", "four", "five"], texts);
        Assert.Equal([2, 3, 4, 5, 2], problems.Select(problem => problem.Row));
        Assert.Contains("row 2", Assert.Throws<UserErrorException>(() => PlainText.Read([files[1]], BadRows.Fail)).Message, StringComparison.Ordinal);
        var node = Node();
        new PtxLoss(new PtxOptions { Files = files }, node).Dispose();
        Assert.Contains(node.Lines.All, line => line.StartsWith("warning: PTX left out 5 malformed rows", StringComparison.Ordinal) && line.Contains("a.jsonl, row 2", StringComparison.Ordinal));
        Assert.Throws<UserErrorException>(() => new PtxLoss(new PtxOptions { Files = files, OnBadRow = BadRows.Fail }, node));
    }

    [Fact]
    public void The_first_row_says_what_is_wrong_When_none_is_right()
    {
        var file = Write("a.jsonl", "{\"instruction\":\"x\"}\n{\"instruction\":\"y\"}");

        var error = Assert.Throws<UserErrorException>(() => PlainText.Read([file], BadRows.Skip));

        Assert.Contains("holds no text; its row 1 has no \"text\"; give instruction files as data", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_name_every_wrong_value_When_checked()
    {
        var choice = new PluginChoice<IBatchSource>("sft-batches");
        Assert.Equal(["files"], new PtxOptions().Problems().Select(p => p.Split(' ')[0]));
        Assert.Equal(["files"], new PtxOptions { Files = ["a.txt"], Data = choice }.Problems().Select(p => p.Split(' ')[0]));
        Assert.Empty(new PtxOptions { Data = choice }.Problems());
        Assert.Empty(new PtxOptions { Coefficient = 0 }.Problems());
        Assert.Equal(
            ["coefficient", "rows-per-step", "max-tokens", "micro-batch-tokens"],
            new PtxOptions { Coefficient = -1, RowsPerStep = 0, MaxTokens = 1, MicroBatchTokens = 0 }.Problems().Select(p => p.Split(' ')[0]));
    }

    private static Tensor Output(SiteModel model, MicroBatch batch)
    {
        using var scope = NewDisposeScope();
        var hidden = model.Embed(batch.TokenIds);
        foreach (var block in model.Blocks)
            hidden = block.Forward(hidden, batch.Layout);
        return model.LanguageHead.Forward(hidden.flatten(0, 1).index_select(0, batch.HeadPositions)).MoveToOuterDisposeScope();
    }

    // What the engine does: every part's shares, times its coefficient, summed.
    private static float[] Gradients(SiteModel model, PtxLoss? loss, double coefficient, out double value, bool withPolicy = false)
    {
        using var scope = NewDisposeScope();
        var weights = model.AllParameters().Select(slot => slot.Value.requires_grad_(true)).ToArray();
        foreach (var weight in weights)
            weight.grad = null;
        value = 0;
        if (loss is null || withPolicy)
            model.Logits(1, 2, 3).pow(2).mean().backward();
        using (loss)
        {
            foreach (var part in loss?.Next(CPU) is { } next ? [next] : Array.Empty<ObjectivePart>())
            {
                foreach (var batch in part.Window)
                {
                    var share = part.Objective.Evaluate(Output(model, batch), batch, MicroBatches.Totals(part.Window)).Loss;
                    value += share.item<float>();
                    (share * coefficient).backward();
                    batch.Dispose();
                }
            }
        }

        return [.. weights.SelectMany(weight => LoraTests.Floats(weight.grad!))];
    }

    private static string[] Rows(PtxLoss loss)
    {
        var part = loss.Next(CPU)!;
        var rows = new List<string>();
        foreach (var batch in part.Window)
        {
            for (var row = 0; row < batch.Rows; row++)
            {
                using var ids = batch.TokenIds[row];
                rows.Add(string.Join(' ', ids.data<long>().ToArray().Take(batch.Layout.Lengths[row])));
            }

            batch.Dispose();
        }

        return [.. rows];
    }

    private PtxLoss Loss(int rows, int rowsPerStep, int microBatchTokens = 8192)
    {
        var file = Write("text.txt", string.Join("\n\n", Enumerable.Range(0, rows).Select(row => new string((char)('a' + row), 3 + (row % 4)))));
        return new PtxLoss(
            new PtxOptions { Files = [file], RowsPerStep = rowsPerStep, MicroBatchTokens = microBatchTokens },
            Node());
    }

    private TestNode Node() => new TestNode().With<IModelStore>("models", _store);

    // What one update of the engine takes from the weights. Adam divides by the root of the mean square; beside so large
    // an epsilon that is nothing, and the update is the gradient.
    private (float[] Update, double Loss) EngineUpdate(int policyRows, bool withPtx)
    {
        const double Large = 1e4;
        using var scope = NewDisposeScope();
        using var model = new TinyModel(vocabulary: 258);
        var options = new EngineOptions { MaxGradNorm = 0, Optimizer = new OptimizerOptions { Epsilon = Large } };
        var node = new TestNode().With(new EnginePlugin()).With(new ZeroPlugin());
        using var engine = node.Create(new PluginChoice<ITrainingEngineFactory>("engine", options)).Create(new TrainingTarget(model, model.LanguageHead, null), node);
        using var ptx = Loss(rows: 4, rowsPerStep: 3);
        var parts = new List<ObjectivePart>();
        if (policyRows > 0)
            parts.Add(new ObjectivePart("policy", MicroBatches.Build(PolicyRows(policyRows), new MicroBatchCut { Tokens = 30 }, CPU), TokenCrossEntropy.Instance));
        if (withPtx)
            parts.Add(ptx.Next(CPU)!);
        ParameterSlot[] slots = [.. model.Embedding.Parameters, .. model.Blocks[0].Parameters, .. model.LanguageHead.Parameters];
        var before = slots.SelectMany(slot => LoraTests.Floats(slot.Value)).ToArray();
        var report = engine.ComputeGradients(parts, default);
        engine.Apply(Large);
        var update = before.Zip(slots.SelectMany(slot => LoraTests.Floats(slot.Value)), (old, now) => old - now).ToArray();
        return (update, withPtx ? report.Metrics["ptx/loss"] : 0);
    }

    private static Experience PolicyRows(int rows)
    {
        var tokens = Enumerable.Range(0, rows).Select(row => Enumerable.Range(0, 3 + (row % 5)).Select(t => ((row * 7) + (t * 13)) % 256).ToArray()).ToArray();
        return new Experience(
            Ragged.FromRows(tokens),
            Ragged.FromRows(tokens.Select(row => row.Select((_, t) => t > 0).ToArray())),
            new Dictionary<string, Ragged<float>>());
    }

    private string Write(string name, string content)
    {
        var file = Path.Combine(_folder, name);
        File.WriteAllText(file, content);
        return file;
    }

    private sealed class CountingSource(long iterations) : IBatchSource
    {
        public List<long> Taken { get; } = [];

        public long Iterations => iterations;

        public IReadOnlyList<Experience> HeldOut => [];

        public IReadOnlyDictionary<string, double> Metrics => new Dictionary<string, double>();

        public IReadOnlyList<string> Remarks => [];

        public IReadOnlyList<Experience> Take(long iteration, int ranks)
        {
            Taken.Add(iteration);
            return [new Experience(Ragged.FromRows([[1, 2, 3]]), Ragged.FromRows([[false, false, true]]), new Dictionary<string, Ragged<float>>())];
        }

        public void Capture(IStateWriter writer)
        {
        }

        public void Restore(IStateReader reader)
        {
        }
    }
}
