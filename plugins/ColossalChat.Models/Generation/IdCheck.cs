using ColossalChat.Contracts;

namespace ColossalChat.Models.Generation;

/// <summary>Refuses ids that a model's vocabulary does not have, before they reach a kernel.</summary>
internal static class IdCheck
{
    /// <summary>Checks every id.</summary>
    /// <exception cref="UserErrorException">An id is outside the vocabulary.</exception>
    public static void Require(ReadOnlySpan<int> ids, int vocabulary)
    {
        foreach (var id in ids)
            if (id < 0 || id >= vocabulary)
                throw new UserErrorException($"Token id {id} is outside the model's vocabulary of {vocabulary}. The ids come from another tokenizer.");
    }
}
