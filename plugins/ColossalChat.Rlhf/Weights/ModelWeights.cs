using System.Security.Cryptography;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

/// <summary>All weights of a loaded model, in one order that trainer and readers share.</summary>
internal static class ModelWeights
{
    /// <summary>Parameters of body, head and adapter, each once.</summary>
    public static IEnumerable<ParameterSlot> Of(IBorrowedModel model) => model.Body.Embedding.Parameters
        .Concat(model.Body.Blocks.SelectMany(block => block.Parameters))
        .Concat((model.ValueHead ?? model.Body.LanguageHead).Parameters)
        .Concat(model.Adapter?.Parameters ?? [])
        .Distinct();

    /// <summary>SHA-256 over names and bytes of all weights, in hexadecimal digits.</summary>
    public static string HashOf(IBorrowedModel model, CancellationToken cancel)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var slot in Of(model))
        {
            cancel.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes(slot.Name));
            hash.AppendData(slot.Value.detach().cpu().contiguous().bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
