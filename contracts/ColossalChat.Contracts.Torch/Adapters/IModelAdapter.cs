
namespace ColossalChat.Contracts.Torch;

/// <summary>Adds trainable parts to a model whose own weights stay frozen (LoRA).</summary>
public interface IModelAdapter
{
    /// <summary>
    /// Attaches new adapters to the model's linear sites: enabled, not merged, and adding nothing until they are trained.
    /// </summary>
    /// <param name="model">
    /// The base. Its own weights are left as they are and get no gradients; a site takes one adapter, and the model must
    /// outlive what is returned.
    /// </param>
    /// <param name="context">Gives the seed of the adapters' first weights.</param>
    /// <returns>The adapters; disposing takes them off the model.</returns>
    /// <exception cref="UserErrorException">No linear site matches the target patterns; the message lists the sites.</exception>
    IAttachedAdapter Attach(ICausalModel model, INodeContext context);
}

/// <summary>Adapters on one model.</summary>
public interface IAttachedAdapter : IDisposable
{
    /// <summary>Trainable parameters, by their names in PEFT's layout; float32 whatever the base computes in.</summary>
    IReadOnlyList<ParameterSlot> Parameters { get; }

    /// <summary>False computes exactly the base model.</summary>
    bool Enabled { get; set; }

    /// <summary>True while the adapters' part is inside the base weights.</summary>
    bool Merged { get; }

    /// <summary>True while a training pass runs: dropout acts.</summary>
    /// <exception cref="InvalidOperationException">Set to true while merged: no gradient could reach the adapters.</exception>
    bool Training { get; set; }

    /// <summary>
    /// Adds the adapters' part into the base weights, in their own element type; keeps a copy of what it changes. When
    /// merged already it does nothing: weights that changed since come in by <see cref="Unmerge"/> and another merge.
    /// </summary>
    /// <exception cref="UserErrorException">
    /// A layer computes with a quantised kernel, so its weight cannot be changed; the message names it and nothing is merged.
    /// </exception>
    void Merge();

    /// <summary>Restores the base weights bit for bit; does nothing when not merged.</summary>
    void Unmerge();

    /// <summary>Writes adapter_config.json and adapter_model.safetensors, as PEFT does; each complete or not at all.</summary>
    /// <param name="folder">Made when it is not there; files of these names are replaced.</param>
    void Save(string folder);

    /// <summary>
    /// Reads what <see cref="Save"/> or PEFT wrote into <see cref="Parameters"/>, in place. Merged adapters are merged
    /// again with the new weights.
    /// </summary>
    /// <param name="folder">Holds both files; tensors are float32, float16 or bfloat16.</param>
    /// <exception cref="UserErrorException">
    /// A file is missing or broken, its kind, rank or scale is another one, or a tensor is missing, extra or misshapen; the
    /// message names file and tensor.
    /// </exception>
    void Load(string folder);
}
