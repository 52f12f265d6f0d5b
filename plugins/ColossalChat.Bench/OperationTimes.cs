using System.Diagnostics;
using System.Text.Json.Nodes;
using ColossalChat.Numerics;
using static ColossalChat.Bench.BenchOutput;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

// B = sequences, T = tokens, H = hidden size, F = feed-forward size, V = vocabulary, D = head size.

/// <summary>
/// Where a step's time goes: every operation of a decoder alone, forward and backward, at the size and as often as one
/// step carries it out.
/// </summary>
internal static class OperationTimes
{
    private const int Repeats = 7;

    /// <summary>One operation's share of a step.</summary>
    /// <param name="Name">Such as attention.</param>
    /// <param name="Forward">Seconds of a step.</param>
    /// <param name="Backward">Seconds of a step.</param>
    public sealed record Row(string Name, double Forward, double Backward);

    /// <summary>Measures all operations.</summary>
    /// <param name="sizes">The model; as many key-value heads as heads.</param>
    /// <param name="batch">B.</param>
    /// <param name="tokens">T.</param>
    /// <param name="precision">Element type.</param>
    /// <param name="device">Where.</param>
    public static IReadOnlyList<Row> Measure(DecoderSizes sizes, int batch, int tokens, ScalarType precision, Device device)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, device);
        Tensor New(params long[] shape) => randn(shape, float32, device, generator: generator).mul_(0.1).to(precision).requires_grad_();
        var (rows, layers, headSize) = ((long)batch * tokens, sizes.Layers, sizes.Hidden / sizes.Heads);
        var (hidden, other) = (New(batch, tokens, sizes.Hidden), New(batch, tokens, sizes.Hidden));
        var (wide, up) = (New(batch, tokens, sizes.FeedForward), New(batch, tokens, sizes.FeedForward));
        var weight = New(sizes.Hidden);
        var heads = New(batch, tokens, sizes.Heads, headSize);
        var (keys, values) = (New(batch, tokens, sizes.Heads, headSize), New(batch, tokens, sizes.Heads, headSize));
        var angles = rand([tokens, 1, headSize], float32, device, generator: generator).to(precision);
        var ids = randint(0, sizes.Vocabulary, [batch, tokens], int64, device, generator: generator);
        var (logits, targets) = (New(rows, sizes.Vocabulary), ids.flatten());
        var table = New(sizes.Vocabulary, sizes.Hidden);
        return
        [
            Linears(sizes, rows, New),
            Time("attention", layers, [heads, keys, values], () => CausalAttention.Of(heads, keys, values)),
            Time("norm", (2 * layers) + 1, [hidden, weight], () => RootMeanSquareNorm.Of(hidden, weight, 1e-5)),
            Time("rotary", 2 * layers, [heads], () => RotaryEmbedding.Of(heads, angles, angles)),
            Time("gate", layers, [wide, up], () => GatedUnit.Of(wide, up)),
            Time("residual", 2 * layers, [hidden, other], () => hidden + other),
            Time("token scores", 1, [logits], () => TokenScoring.Of(logits, targets, 1, TokenScoreParts.None).LogProbs),
            Time("embedding", 1, [table], () => table.index_select(0, targets)),
        ];
    }

    /// <summary>For the report.</summary>
    public static JsonObject ToJson(IReadOnlyList<Row> rows) => new(rows.Select(row => KeyValuePair.Create(row.Name.Replace(' ', '_'), (JsonNode?)new JsonObject
    {
        ["forward_s"] = Round(row.Forward),
        ["backward_s"] = Round(row.Backward),
    })));

    private static Row Linears(DecoderSizes sizes, long rows, Func<long[], Tensor> newTensor)
    {
        var (forward, backward) = (0.0, 0.0);
        foreach (var matrix in sizes.Matrices)
        {
            using var scope = NewDisposeScope();
            var (input, weight) = (newTensor([rows, matrix.Inputs]), newTensor([matrix.Outputs, matrix.Inputs]));
            var row = Time(matrix.Name, matrix.Count, [input, weight], () => nn.functional.linear(input, weight));
            (forward, backward) = (forward + row.Forward, backward + row.Backward);
        }

        return new Row("linear layers", forward, backward);
    }

    private static Row Time(string name, int count, Tensor[] leaves, Func<Tensor> operation)
    {
        var (forward, backward) = (new double[Repeats], new double[Repeats]);
        for (var i = 0; i < Repeats; i++)
        {
            using var scope = NewDisposeScope();
            var start = Stopwatch.GetTimestamp();
            var output = operation();
            forward[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
            var gradient = ones_like(output);
            start = Stopwatch.GetTimestamp();
            output.backward([gradient]);
            backward[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;

            // Another round's gradients would be added to these.
            foreach (var leaf in leaves)
                leaf.grad = null;
        }

        Array.Sort(forward);
        Array.Sort(backward);
        return new Row(name, count * forward[Repeats / 3], count * backward[Repeats / 3]);
    }
}
