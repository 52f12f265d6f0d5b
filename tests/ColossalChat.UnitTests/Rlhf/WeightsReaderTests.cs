using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.PluginKit;
using ColossalChat.Rlhf;
using ColossalChat.UnitTests.Rlhf.Support;
using TorchSharp;
using Xunit;

namespace ColossalChat.UnitTests.Rlhf;

/// <summary>Weights of another node that arrive in part, or are of another model.</summary>
[Trait("Category", "CI")]
public sealed class WeightsReaderTests : IDisposable
{
    private const int Embedding = 11 * 8;
    private readonly TinyStore _store = new TinyStore().Add("policy", new TinyModel());
    private readonly TestNode _node;
    private readonly RolloutRole _first;
    private readonly RolloutRole _second;

    public WeightsReaderTests()
    {
        _node = TinyNode.Over(_store);
        (_first, _second) = (Rollout(), Rollout());
        foreach (var role in (RolloutRole[])[_first, _second])
            role.LoadWeights(Publication(1, null), CancellationToken.None);
    }

    [Fact]
    public void Nobody_computes_with_weights_of_two_versions()
    {
        var gone = Piece("head", Embedding);
        _node.Blobs.Withdraw(gone.Blob);
        Assert.Throws<IOException>(() => _first.LoadWeights(Publication(2, [Piece("embed", Embedding), gone]), CancellationToken.None));

        var refused = Assert.Throws<InvalidOperationException>(() => Generate(_second));
        Assert.StartsWith("Weights 2 of policy were not taken over whole", refused.Message, StringComparison.Ordinal);
        // The same version comes again for the second one.
        var whole = Publication(2, [Piece("embed", Embedding), Piece("head", Embedding)]);
        _second.LoadWeights(whole, CancellationToken.None);
        Assert.Equal(2, Generate(_second).WeightVersions[0].Span[0]);
        _first.LoadWeights(whole, CancellationToken.None);
        Assert.Equal(2, Generate(_first).WeightVersions[0].Span[0]);
    }

    [Theory]
    [InlineData("tail", Embedding, "have tail, which this node's model has not")]
    [InlineData("head", 8, "have 64 bytes of head; 704 were expected")]
    public void What_is_of_another_model_changes_nothing(string name, int numbers, string expected)
    {
        var before = Embedded();

        var refused = Assert.Throws<InvalidOperationException>(() =>
            _first.LoadWeights(Publication(2, [Piece("embed", Embedding), Piece(name, numbers)]), CancellationToken.None));

        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
        Assert.Equal(before, Embedded());
        Assert.Equal(1, Generate(_second).WeightVersions[0].Span[0]);
    }

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
        _store.Dispose();
    }

    private RolloutRole Rollout() => new(new RolloutOptions { MaxNewTokens = 2 }, _node);

    private static Rollout Generate(RolloutRole role) => role.Generate(TinyNode.Prompts(new BatchId(1, 0), rows: 1), CancellationToken.None);

    private float[] Embedded()
    {
        using var scope = torch.NewDisposeScope();
        return [.. _store["policy"].Body.Embedding.Parameters[0].Value.detach().data<float>()];
    }

    // Of another precision than the model's, so that no hash of the whole is expected.
    private (BlobReference Blob, object Parameter) Piece(string name, int numbers) =>
        (_node.Blobs.Publish(name, new byte[numbers * sizeof(double)]), new { Name = name, Type = "Float64", Bytes = numbers * sizeof(double) });

    private WeightsPublication Publication(long version, (BlobReference Blob, object Parameter)[]? pieces) => new(
        "policy", 1, version, $"hash {version}", pieces is null ? null : _node.Blobs.Publish("manifest", JsonSerializer.SerializeToUtf8Bytes(new
        {
            Pieces = pieces.Select(piece => new { piece.Blob, Parameters = new[] { piece.Parameter } }),
            // All weights are 0, so that it cannot choose.
            Canary = Enumerable.Repeat(-MathF.Log(11), 15),
        }))) { Publisher = "elsewhere" };
}
