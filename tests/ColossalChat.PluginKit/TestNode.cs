using ColossalChat.Contracts;

namespace ColossalChat.PluginKit;

/// <summary>
/// A node for tests: knows what a test registers, keeps blobs in memory, counts turns on devices. Also the registry that
/// a plugin registers with: <c>new TestNode().With(new MyPlugin())</c>.
/// </summary>
public sealed class TestNode : INodeContext, IPluginRegistry
{
    private readonly Dictionary<(Type Seam, string Name), Func<object?, object>> _factories = [];
    private readonly Dictionary<string, ITokenizer> _tokenizers = [];

    /// <summary>A node with a seed.</summary>
    public TestNode(ulong seed = 1, string? runFolder = null) => (Seed, RunFolder) = (seed, runFolder);

    public string NodeName { get; init; } = "test";

    public ulong Seed { get; }

    public string? RunFolder { get; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public IBlobLane Blobs { get; init; } = new TestBlobLane();

    /// <summary>True when readers of trained weights must fetch them.</summary>
    public bool ReadersAreElsewhere { get; init; }

    public IPeerLinks Peers { get; } = new OneRankPeerLinks();

    public IDeviceLeases Devices => Leases;

    public INodeLog Log => Lines;

    /// <summary>Turns taken so far; a role must never take one, the host does it around each call.</summary>
    public TestLeases Leases { get; } = new();

    /// <summary>What was logged.</summary>
    public TestLog Lines { get; } = new();

    /// <summary>Options types by seam and name, as plugins registered them.</summary>
    public Dictionary<(Type Seam, string Name), Type> OptionTypes { get; } = [];

    /// <summary>Registers all that a plugin offers.</summary>
    public TestNode With(IPlugin plugin)
    {
        plugin.Register(this);
        return this;
    }

    /// <summary>Registers one object under a name.</summary>
    public TestNode With<TSeam>(string name, TSeam instance)
        where TSeam : class
    {
        _factories[(typeof(TSeam), name)] = _ => instance;
        return this;
    }

    /// <summary>Makes a tokenizer known.</summary>
    public TestNode With(ITokenizer tokenizer)
    {
        AddTokenizer(tokenizer);
        return this;
    }

    public void Add<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
        where TSeam : class
        where TOptions : class, new() =>
        Register<TSeam, TOptions>(name, options => create((TOptions)(options ?? new TOptions()), this));

    public void AddShared<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
        where TSeam : class
        where TOptions : class, new()
    {
        TSeam? shared = null;
        Register<TSeam, TOptions>(name, options => shared ??= create((TOptions)(options ?? new TOptions()), this));
    }

    public TSeam Create<TSeam>(PluginChoice<TSeam> choice)
        where TSeam : class =>
        _factories.TryGetValue((typeof(TSeam), choice.Name), out var make)
            ? (TSeam)make(choice.Options)
            : throw new UserErrorException(
                $"There is no {typeof(TSeam).Name} '{choice.Name}' on the test node; registered are: {string.Join(", ", NamesOf<TSeam>())}.", ExitCode.NotFound);

    public TSeam Resolve<TSeam>(string name)
        where TSeam : class => Create(new PluginChoice<TSeam>(name));

    public IReadOnlyList<string> NamesOf<TSeam>()
        where TSeam : class =>
        [.. _factories.Keys.Where(key => key.Seam == typeof(TSeam)).Select(key => key.Name).Order(StringComparer.Ordinal)];

    public ITokenizer Tokenizer(string hash) =>
        _tokenizers.GetValueOrDefault(hash)
        ?? throw new UserErrorException($"No tokenizer with hash '{hash}' on the test node; add it with With(tokenizer).", ExitCode.NotFound);

    public void AddTokenizer(ITokenizer tokenizer) => _tokenizers[tokenizer.Hash] = tokenizer;

    private void Register<TSeam, TOptions>(string name, Func<object?, object> make)
    {
        if (!_factories.TryAdd((typeof(TSeam), name), make))
            throw new InvalidOperationException($"{typeof(TSeam).Name} '{name}' is registered twice.");
        OptionTypes[(typeof(TSeam), name)] = typeof(TOptions);
    }
}

/// <summary>Turns on devices that are never waited for, counted.</summary>
public sealed class TestLeases : IDeviceLeases
{
    private int _held;

    /// <summary>Turns taken so far.</summary>
    public int Taken { get; private set; }

    public IDisposable Take(string device, CancellationToken cancel)
    {
        if (Interlocked.Exchange(ref _held, 1) == 1)
            throw new InvalidOperationException($"The turn on {device} is already taken; turns are not reentrant.");
        Taken++;
        return new Turn(this);
    }

    private sealed class Turn(TestLeases leases) : IDisposable
    {
        public void Dispose() => Interlocked.Exchange(ref leases._held, 0);
    }
}

/// <summary>Keeps what is logged.</summary>
public sealed class TestLog : INodeLog
{
    private readonly List<string> _lines = [];

    /// <summary>Lines so far, each with its level in front.</summary>
    public IReadOnlyList<string> All
    {
        get
        {
            lock (_lines)
                return [.. _lines];
        }
    }

    public void Debug(string message) => Keep("debug", message);

    public void Info(string message) => Keep("info", message);

    public void Warning(string message) => Keep("warning", message);

    public void Error(string message) => Keep("error", message);

    private void Keep(string level, string message)
    {
        lock (_lines)
            _lines.Add($"{level}: {message}");
    }
}
