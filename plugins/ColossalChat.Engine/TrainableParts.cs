using ColossalChat.Contracts.Torch;

namespace ColossalChat.Engine;

/// <summary>Decides what of a target trains, and in which parts.</summary>
internal static class TrainableParts
{
    /// <summary>
    /// Parts in model order: embedding, each block, head; with an adapter the adapter's parameters and a value head's own.
    /// A tied parameter belongs to the first part that has it; a part holds one element type, and matrices before vectors,
    /// so that weight decay acts on few long runs.
    /// </summary>
    public static IReadOnlyList<PartParameters> Of(TrainingTarget target)
    {
        var seen = new HashSet<ParameterSlot>(ReferenceEqualityComparer.Instance);
        var parts = new List<PartParameters>();
        foreach (var (name, slots) in Trained(target))
        {
            var own = slots.Where(seen.Add).OrderBy(slot => slot.Shape.Count >= 2 ? 0 : 1).ToArray();
            foreach (var byType in own.GroupBy(slot => slot.Value.dtype))
                parts.Add(new PartParameters(byType.Key == own[0].Value.dtype ? name : $"{name}.{byType.Key}", [.. byType]));
        }

        return parts;
    }

    /// <summary>All parts of body and head with all their parameters, trained or not.</summary>
    public static IEnumerable<(string Name, IReadOnlyList<ParameterSlot> Slots)> Base(TrainingTarget target)
    {
        yield return ("embedding", target.Body.Embedding.Parameters);
        for (var i = 0; i < target.Body.Blocks.Count; i++)
            yield return ($"block.{i}", target.Body.Blocks[i].Parameters);
        yield return ("head", target.Head.Parameters);
    }

    private static IEnumerable<(string Name, IEnumerable<ParameterSlot> Slots)> Trained(TrainingTarget target)
    {
        if (target.Adapter is not { } adapter)
            return Base(target).Select(part => (part.Name, (IEnumerable<ParameterSlot>)part.Slots));
        IEnumerable<(string, IEnumerable<ParameterSlot>)> parts = [("adapter", adapter.Parameters)];
        if (ReferenceEquals(target.Head, target.Body.LanguageHead))
            return parts;
        // The final norm is part of the frozen base even where a value head uses it.
        return parts.Append(("head", target.Head.Parameters.Except(target.Body.FinalNorm.Parameters)));
    }
}
