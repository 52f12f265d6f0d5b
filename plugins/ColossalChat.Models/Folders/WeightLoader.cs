using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Models.Folders;

/// <summary>Fills parameters from files. Strict: each tensor has its parameter and each parameter its tensor.</summary>
internal static class WeightLoader
{
    private const int MostProblems = 10;

    /// <summary>Fills every parameter.</summary>
    /// <param name="what">What is loaded, for messages: a folder or file.</param>
    /// <param name="files">The tensors.</param>
    /// <param name="slots">The parameters.</param>
    /// <param name="mayBeAbsent">Parameters that keep their value when the files lack them.</param>
    /// <param name="ignored">Further tensors of the files that are passed over.</param>
    /// <exception cref="UserErrorException">A tensor is missing, extra or misshapen; the message names it.</exception>
    public static void Load(
        string what,
        WeightFiles files,
        IReadOnlyList<ParameterSlot> slots,
        IReadOnlySet<string> mayBeAbsent,
        IReadOnlySet<string> ignored)
    {
        var problems = Problems(files, slots, mayBeAbsent, ignored);
        if (problems.Count > 0)
            throw new UserErrorException(
                $"{what} does not fit its config.json: {string.Join(" ", problems.Take(MostProblems))}"
                + (problems.Count > MostProblems ? $" And {problems.Count - MostProblems} more." : ""));
        using var noGradient = no_grad();
        foreach (var slot in slots)
        {
            if (!files.Tensors.TryGetValue(slot.Name, out var found))
                continue;
            using var value = found.File.Read(slot.Name);
            slot.Value.copy_(value);
        }

        CheckTiedHead(files, slots, ignored);
    }

    private static List<string> Problems(
        WeightFiles files,
        IReadOnlyList<ParameterSlot> slots,
        IReadOnlySet<string> mayBeAbsent,
        IReadOnlySet<string> ignored)
    {
        var problems = new List<string>();
        var known = slots.Select(slot => slot.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var slot in slots)
            if (!files.Tensors.TryGetValue(slot.Name, out var found))
            {
                if (!mayBeAbsent.Contains(slot.Name))
                    problems.Add($"tensor {slot.Name} [{string.Join(", ", slot.Shape)}] is missing.");
            }
            else if (!found.Entry.Shape.AsSpan().SequenceEqual(slot.Shape.ToArray()))
                problems.Add($"tensor {slot.Name} has shape [{string.Join(", ", found.Entry.Shape)}]; it must be [{string.Join(", ", slot.Shape)}].");
        foreach (var name in files.Tensors.Keys.Order(StringComparer.Ordinal))
            if (!known.Contains(name) && !ignored.Contains(name) && name != HeadName && !IsHarmless(name))
                problems.Add($"tensor {name} is extra: no part of the model has that name.");
        return problems;
    }

    private const string HeadName = "lm_head.weight";
    private const string EmbeddingName = "model.embed_tokens.weight";

    // Old exports carry the rotary angles, which follow from config.json.
    private static bool IsHarmless(string name) => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal);

    // Some tools write a tied head twice. That is fine as long as both copies agree.
    private static void CheckTiedHead(WeightFiles files, IReadOnlyList<ParameterSlot> slots, IReadOnlySet<string> ignored)
    {
        if (ignored.Contains(HeadName) || !files.Tensors.TryGetValue(HeadName, out var found) || slots.Any(slot => slot.Name == HeadName))
            return;
        using var head = found.File.Read(HeadName);
        var isEqual = false;
        if (files.Tensors.TryGetValue(EmbeddingName, out var other) && other.Entry.Shape.AsSpan().SequenceEqual(found.Entry.Shape))
        {
            using var embedding = other.File.Read(EmbeddingName);
            isEqual = head.allclose(embedding.to(head.dtype), 0, 0);
        }

        if (!isEqual)
            throw new UserErrorException($"{found.File.Path}: tensor {HeadName} is extra: config.json ties the head to the embedding, and the two differ. Set tie_word_embeddings to false.");
    }
}
