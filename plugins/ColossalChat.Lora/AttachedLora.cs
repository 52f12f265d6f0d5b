using ColossalChat.Contracts.Torch;

namespace ColossalChat.Lora;

/// <summary>The adapters of one model.</summary>
internal sealed class AttachedLora : IAttachedAdapter
{
    private readonly LoraOptions _options;
    private readonly List<LoraLinear> _layers = [];
    private bool _enabled = true;
    private bool _training;

    /// <summary>Attaches an adapter to every site.</summary>
    public AttachedLora(LoraOptions options, ICausalModel model, IReadOnlyList<ILinearSite> sites, ulong seed)
    {
        _options = options;
        foreach (var site in sites)
        {
            var layer = new LoraLinear(this, site, _layers.Count, options.Rank, model.Device, seed);
            _layers.Add(layer);
            site.Adapter = layer;
        }

        Parameters = [.. _layers.SelectMany(layer => new[] { layer.A, layer.B })];
    }

    /// <summary>alpha / r.</summary>
    public double Scale => _options.Alpha / _options.Rank;

    /// <summary>Share of inputs dropped in training.</summary>
    public double Dropout => _options.Dropout;

    /// <summary>True when the adapters' part must be added at each product.</summary>
    public bool Acts => _enabled && !Merged;

    /// <inheritdoc/>
    public IReadOnlyList<ParameterSlot> Parameters { get; }

    /// <inheritdoc/>
    public bool Merged { get; private set; }

    /// <inheritdoc/>
    public bool Enabled
    {
        get => _enabled;
        set
        {
            _enabled = value;
            foreach (var layer in _layers)
                layer.Show(merged: value);
        }
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">Set while merged: no gradient could reach the adapters.</exception>
    public bool Training
    {
        get => _training;
        set => _training = value && Merged
            ? throw new InvalidOperationException("The adapters are merged into the base weights; call Unmerge before training them.")
            : value;
    }

    /// <inheritdoc/>
    public void Merge()
    {
        if (Merged)
            return;
        try
        {
            foreach (var layer in _layers)
                layer.Merge();
        }
        catch
        {
            foreach (var layer in _layers)
                layer.Unmerge();
            throw;
        }

        Merged = true;
        foreach (var layer in _layers)
            layer.Show(merged: _enabled);
    }

    /// <inheritdoc/>
    public void Unmerge()
    {
        foreach (var layer in _layers)
            layer.Unmerge();
        Merged = false;
    }

    /// <inheritdoc/>
    public void Save(string folder) =>
        AdapterFolder.Save(folder, _options, [.. _layers.Select(layer => layer.Site.Name)], Parameters);

    /// <inheritdoc/>
    public void Load(string folder)
    {
        var merged = Merged;
        Unmerge();
        AdapterFolder.Load(folder, _options, Parameters);
        if (merged)
            Merge();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var layer in _layers)
        {
            layer.Site.Adapter = null;
            layer.Dispose();
        }

        _layers.Clear();
    }
}
