using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using ColossalChat.Ptx;
using ColossalChat.UnitTests.Lora;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Ptx;

[Trait("Category", "CI")]
public sealed class PtxLossTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ptx-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

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
        var state = new TestState();
        unbroken.Capture(state);

        resumed.Restore(state);

        for (var i = 0; i < 9; i++)
            Assert.Equal(Rows(unbroken), Rows(resumed));
    }

    [Fact]
    public void The_loss_is_the_mean_over_its_own_tokens_however_it_is_cut_When_rows_are_ragged()
    {
        using var model = new TinyModel(vocabulary: 258);
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
        using var model = new TinyModel(vocabulary: 258);
        using var loss = Loss(rows: 4, rowsPerStep: 2);
        var part = loss.Next(CPU)!;
        using var scope = NewDisposeScope();
        var own = part.Window.Sum(batch => (double)part.Objective.Evaluate(Output(model, batch), batch, MicroBatches.Totals(part.Window)).Loss.item<float>());

        Assert.InRange(own, 1, 20);
        Assert.Equal("ptx", part.Name);
        Assert.Equal(0.5, part.Coefficient);
        foreach (var batch in part.Window)
            batch.Dispose();
    }

    [Fact]
    public void Its_gradient_is_added_to_the_policys_When_both_run()
    {
        using var model = new TinyModel(vocabulary: 258);
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
        using var model = new TinyModel(vocabulary: 258);
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
        Assert.Equal(expected.Split('|'), PlainText.Read([Write(name, content)]));
    }

    [Theory]
    [InlineData("a.jsonl", "{\"text\":\"one\"}\n{\"instruction\":\"x\"}", "row 2 has no \"text\"")]
    [InlineData("a.jsonl", "{\"text\":", "row 1 is no JSON")]
    [InlineData("a.txt", " \n\n ", "holds no text")]
    [InlineData("a.json", "[]", "is no .txt or .jsonl")]
    public void The_file_and_row_are_named_When_text_is_broken(string name, string content, string message)
    {
        var file = Write(name, content);

        var error = Assert.Throws<UserErrorException>(() => PlainText.Read([file]));

        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Contains(file, error.Message, StringComparison.Ordinal);
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

    private static Tensor Output(TinyModel model, MicroBatch batch)
    {
        using var scope = NewDisposeScope();
        var hidden = model.Embed(batch.TokenIds);
        foreach (var block in model.Blocks)
            hidden = block.Forward(hidden, batch.Layout);
        return model.LanguageHead.Forward(hidden.flatten(0, 1).index_select(0, batch.HeadPositions)).MoveToOuterDisposeScope();
    }

    // What the engine does: every part's shares, times its coefficient, summed.
    private static float[] Gradients(TinyModel model, PtxLoss? loss, double coefficient, out double value, bool withPolicy = false)
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
            new TestNode().With<IModelCatalog>("models", new OneTokenizer()));
    }

    private string Write(string name, string content)
    {
        var file = Path.Combine(_folder, name);
        File.WriteAllText(file, content);
        return file;
    }

    private sealed class OneTokenizer : IModelCatalog
    {
        public IReadOnlyList<string> Names => ["policy"];

        public string FolderOf(string name) => throw new NotSupportedException();

        public TextModel TextOf(string name) => new(new ByteTokenizer(), null!);
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

    private sealed class TestState : IStateWriter, IStateReader
    {
        private readonly Dictionary<string, string> _documents = [];

        public IReadOnlyList<string> TensorNames => [];

        public void WriteTensor(string name, ElementType type, ReadOnlySpan<long> shape, ReadOnlySpan<byte> data) => throw new NotSupportedException();

        public void WriteJson(string name, string json) => _documents.Add(name, json);

        public (ElementType Type, long[] Shape) Describe(string name) => throw new NotSupportedException();

        public void ReadTensor(string name, Span<byte> destination) => throw new NotSupportedException();

        public string ReadJson(string name) => _documents[name];
    }
}
