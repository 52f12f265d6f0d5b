using ColossalChat.Contracts.Torch;

namespace ColossalChat.Engine;

/// <summary>Decides what of a target trains, and in which groups.</summary>
internal static class TrainableGroups
{
    /// <summary>
    /// Groups in model order: embedding, each block, head; with an adapter the adapter's parameters and a value head's own.
    /// A tied parameter belongs to the first group that has it; a group holds one element type.
    /// </summary>
    public static IReadOnlyList<(string Name, IReadOnlyList<ParameterSlot> Slots)> Of(TrainingTarget target)
    {
        var seen = new HashSet<ParameterSlot>(ReferenceEqualityComparer.Instance);
        var groups = new List<(string, IReadOnlyList<ParameterSlot>)>();
        foreach (var (name, slots) in Parts(target))
        {
            var own = slots.Where(seen.Add).ToArray();
            foreach (var byType in own.GroupBy(slot => slot.Value.dtype))
                groups.Add((byType.Key == own[0].Value.dtype ? name : $"{name}.{byType.Key}", [.. byType]));
        }

        return groups;
    }

    /// <summary>All parameters of body and head.</summary>
    public static IEnumerable<ParameterSlot> Base(TrainingTarget target) =>
        BaseParts(target).SelectMany(part => part.Slots);

    private static IEnumerable<(string Name, IEnumerable<ParameterSlot> Slots)> Parts(TrainingTarget target)
    {
        if (target.Adapter is not { } adapter)
            return BaseParts(target);
        IEnumerable<(string, IEnumerable<ParameterSlot>)> parts = [("adapter", adapter.Parameters)];
        if (ReferenceEquals(target.Head, target.Body.LanguageHead))
            return parts;
        // The final norm is part of the frozen base even where a value head uses it.
        return parts.Append(("head", target.Head.Parameters.Except(target.Body.FinalNorm.Parameters)));
    }

    private static IEnumerable<(string Name, IEnumerable<ParameterSlot> Slots)> BaseParts(TrainingTarget target)
    {
        yield return ("embedding", target.Body.Embedding.Parameters);
        for (var i = 0; i < target.Body.Blocks.Count; i++)
            yield return ($"block.{i}", target.Body.Blocks[i].Parameters);
        yield return ("head", target.Head.Parameters);
    }
}
