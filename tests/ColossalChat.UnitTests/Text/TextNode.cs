using System.Collections.Concurrent;
using ColossalChat.Contracts;
using ColossalChat.Text;

namespace ColossalChat.UnitTests.Text;

/// <summary>A node with the text plugin alone and one model folder, without host.</summary>
internal sealed class TextNode : INodeContext, IPluginRegistry, INodeLog, IModelCatalog
{
    // Shared data never changes and tokenizers hold no state, so each folder of it is read once.
    private static readonly ConcurrentDictionary<string, TextModel> _shared = [];

    private readonly Dictionary<(Type Seam, string Name), Func<object?, object>> _factories = [];
    private readonly string? _modelFolder;

    public TextNode(string? modelFolder = null)
    {
        _modelFolder = modelFolder;
        new TextPlugin().Register(this);
        AddShared<IModelCatalog, NoOptions>("models", (_, _) => this);
    }

    public List<string> Lines { get; } = [];

    public Dictionary<string, ITokenizer> Tokenizers { get; } = [];

    public string NodeName => "test";

    public ulong Seed { get; init; } = 1;

    public string? RunFolder => null;

    public TimeProvider Time => TimeProvider.System;

    public IBlobLane Blobs => throw new NotSupportedException();

    public IPeerLinks Peers => throw new NotSupportedException();

    public IDeviceLeases Devices { get; } = new NoLeases();

    public INodeLog Log => this;

    public IReadOnlyList<string> Names => ["policy"];

    public static TextModel Open(string folder) => new TextNode().OpenFolder(folder);

    public TextModel OpenFolder(string folder) =>
        TestData.Folder is { } data && folder.StartsWith(data, StringComparison.Ordinal) ? _shared.GetOrAdd(folder, Read) : Read(folder);

    private TextModel Read(string folder) =>
        NamesOf<ITokenizerFormat>().Select(Resolve<ITokenizerFormat>).Single(format => format.CanOpen(folder)).Open(folder);

    public string FolderOf(string name) => _modelFolder!;

    public TextModel TextOf(string name) => OpenFolder(_modelFolder!);

    public TSeam Create<TSeam>(PluginChoice<TSeam> choice)
        where TSeam : class => (TSeam)_factories[(typeof(TSeam), choice.Name)](choice.Options);

    public TSeam Resolve<TSeam>(string name)
        where TSeam : class => (TSeam)_factories[(typeof(TSeam), name)](null);

    public IReadOnlyList<string> NamesOf<TSeam>()
        where TSeam : class => [.. _factories.Keys.Where(key => key.Seam == typeof(TSeam)).Select(key => key.Name).Order()];

    public ITokenizer Tokenizer(string hash) => Tokenizers[hash];

    public void AddTokenizer(ITokenizer tokenizer) => Tokenizers[tokenizer.Hash] = tokenizer;

    public void Add<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
        where TSeam : class
        where TOptions : class, new() =>
        _factories.Add((typeof(TSeam), name), options =>
        {
            var bound = (TOptions?)options ?? new TOptions();
            if (bound is ICheckedOptions check && check.Problems().FirstOrDefault() is { } problem)
                throw new UserErrorException(problem);
            return create(bound, this);
        });

    public void AddShared<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
        where TSeam : class
        where TOptions : class, new() => Add(name, create);

    public void Debug(string message) => Lines.Add(message);

    public void Info(string message) => Lines.Add(message);

    public void Warning(string message) => Lines.Add(message);

    public void Error(string message) => Lines.Add(message);

    private sealed class NoLeases : IDeviceLeases, IDisposable
    {
        public IDisposable Take(string device, CancellationToken cancel) => this;

        public void Dispose()
        {
        }
    }
}

/// <summary>A folder that is gone after the test.</summary>
internal sealed class TempFolder : IDisposable
{
    public string FullName { get; } = Directory.CreateTempSubdirectory("colossalchat-test-").FullName;

    public string Write(string name, string content)
    {
        var file = Path.Combine(FullName, name);
        File.WriteAllText(file, content);
        return file;
    }

    public TempFolder Copy(params string[] files)
    {
        foreach (var file in files)
            File.Copy(file, Path.Combine(FullName, Path.GetFileName(file)));
        return this;
    }

    public void Dispose()
    {
        foreach (var file in Directory.EnumerateFiles(FullName, "*", SearchOption.AllDirectories))
            File.SetAttributes(file, FileAttributes.Normal);
        Directory.Delete(FullName, recursive: true);
    }
}
