
namespace ColossalChat.Contracts.Torch;

/// <summary>Adds trainable parts to a model whose own weights stay frozen (LoRA).</summary>
public interface IModelAdapter
{
    /// <summary>Attaches new adapters to the model's linear sites, on.</summary>
    /// <exception cref="UserErrorException">No linear site matches the target patterns; the message lists the sites.</exception>
    IAttachedAdapter Attach(ICausalModel model, INodeContext context);
}

/// <summary>Adapters on one model.</summary>
public interface IAttachedAdapter : IDisposable
{
    /// <summary>Trainable parameters, by their names in PEFT's layout.</summary>
    IReadOnlyList<ParameterSlot> Parameters { get; }

    /// <summary>False computes exactly the base model.</summary>
    bool Enabled { get; set; }

    /// <summary>True while the adapters' part is inside the base weights.</summary>
    bool Merged { get; }

    /// <summary>True while a training pass runs: dropout acts.</summary>
    bool Training { get; set; }

    /// <summary>Adds the adapters' part into the base weights; keeps a copy of what it changes.</summary>
    void Merge();

    /// <summary>Restores the base weights bit for bit.</summary>
    void Unmerge();

    /// <summary>Writes adapter_config.json and adapter_model.safetensors, as PEFT does.</summary>
    void Save(string folder);

    /// <summary>Reads what <see cref="Save"/> or PEFT wrote.</summary>
    void Load(string folder);
}
