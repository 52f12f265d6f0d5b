using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Rlhf;

/// <summary>Value heads of borrowed models.</summary>
internal static class ValueHeads
{
    /// <summary>The model's value head; a model without one is the user's mistake, and the model is given back.</summary>
    public static IOutputHead Of(IBorrowedModel model)
    {
        if (model.ValueHead is { } head)
            return head;
        model.Dispose();
        throw new UserErrorException($"Model {model.Name} has no value head; set models.{model.Name}.head = value.");
    }
}
