using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Folders;
using ColossalChat.Models.Generation;
using ColossalChat.Models.Heads;
using ColossalChat.Models.Llama;

namespace ColossalChat.Models.Store;

/// <summary>One model in memory; several loans may share it.</summary>
internal sealed class LoadedModel : IDisposable
{
    private const long HeadIteration = 1;
    private readonly ModelFolder _folder;
    private readonly ValueModel? _valueModel;
    private readonly TextGenerator _generator;

    /// <summary>Loads it.</summary>
    public LoadedModel(ModelSource source, TextModel text, INodeContext context)
    {
        DeviceName = source.Device.Length > 0 && context.Device != Devices.Meta ? source.Device : context.Device;

        // Roles take turns on the run's device; a model elsewhere would be used by two of them at once.
        if (DeviceName != context.Device)
            throw new UserErrorException($"The device of {source.Path} is {DeviceName}, and the run's is {context.Device}; a run computes on one device. Leave the model's device out, or change the run's.");
        (Source, Text, _folder) = (source, text, ModelFolder.Read(source.Path));
        var (precision, device) = (Precisions.Parse(source.Precision), Devices.Parse(DeviceName));
        var key = new RandomKey(context.Seed, RandomPurpose.Initialisation);
        RandomKey? initialise = source.Initialise ? key : null;
        if (source.Head == "value")
        {
            _valueModel = _folder.LoadValueModel(context, precision, device, initialise, key with { Iteration = HeadIteration });
            Body = _valueModel.Body;
        }
        else
        {
            Body = _folder.LoadLanguageModel(context, precision, device, initialise);
        }

        _generator = new TextGenerator(Body, text.Tokenizer);
        LanguageModel = new LanguageModel(Body);
        try
        {
            if (source.Adapter is { } choice)
                Adapter = context.Create(choice).Attach(Body, context);
            if (source.AdapterPath.Length > 0)
                Adapter?.Load(source.AdapterPath);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Device it computes on.</summary>
    public string DeviceName { get; }

    /// <summary>Where it came from.</summary>
    public ModelSource Source { get; }

    /// <summary>Its text side.</summary>
    public TextModel Text { get; }

    /// <summary>The decoder.</summary>
    public ICausalModel Body { get; }

    /// <summary>The value head; null on a language model.</summary>
    public IOutputHead? ValueHead => _valueModel?.ValueHead;

    /// <summary>Its adapter, or null.</summary>
    public IAttachedAdapter? Adapter { get; }

    /// <summary>Writes text with it.</summary>
    public ITextGenerator Generator => _generator;

    /// <summary>Judges text with it.</summary>
    public ILanguageModel LanguageModel { get; }

    /// <summary>Loans that are out, each under the name it was borrowed by.</summary>
    public List<string> Loans { get; } = [];

    /// <summary>
    /// Writes the model as others read it: adapters merged in; the adapter alone beside it in <c>adapter/</c>. A value
    /// model's body is written without a language head, its value head in a file of its own.
    /// </summary>
    public void Export(string target, bool withAdapter, Func<ParameterSlot, IDisposable>? read)
    {
        var (body, head) = Exported();
        using var state = new AdapterState(Adapter, withAdapter);
        var mustMerge = withAdapter && Adapter is { Merged: false };
        if (mustMerge)
            Adapter!.Merge();
        try
        {
            FolderWriter.Write(_folder, target, body, head, Body.Precision, folder =>
            {
                if (withAdapter)
                    Adapter?.Save(System.IO.Path.Combine(folder, "adapter"));
            }, read: read);
        }
        finally
        {
            if (mustMerge)
                Adapter!.Unmerge();
        }
    }

    /// <summary>What <see cref="Export"/> reads, in order.</summary>
    public IReadOnlyList<ParameterSlot> ExportedParameters => [.. Exported().Body, .. Exported().Head];

    /// <inheritdoc/>
    public void Dispose()
    {
        _generator.Dispose();
        Adapter?.Dispose();
        if (_valueModel is not null)
            _valueModel.Dispose();
        else
            Body.Dispose();
    }

    private (IReadOnlyList<ParameterSlot> Body, IReadOnlyList<ParameterSlot> Head) Exported() => _valueModel is { ValueHead: ValueHead own }
        ? (Body.BodyParameters(), [own.Weight, own.Bias])
        : (Body.AllParameters(), []);
}
