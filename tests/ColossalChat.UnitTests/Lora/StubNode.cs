using ColossalChat.Contracts;

namespace ColossalChat.UnitTests.Lora;

/// <summary>A node with a seed, and whatever objects a test puts in.</summary>
internal sealed class StubNode(ulong seed = 7) : INodeContext
{
    public Dictionary<Type, object> Objects { get; } = [];

    public string NodeName => "test";

    public ulong Seed => seed;

    public string? RunFolder => null;

    public TimeProvider Time => TimeProvider.System;

    public IBlobLane Blobs => throw new NotSupportedException();

    public IPeerLinks Peers => throw new NotSupportedException();

    public IDeviceLeases Devices => throw new NotSupportedException();

    public INodeLog Log => throw new NotSupportedException();

    public TSeam Create<TSeam>(PluginChoice<TSeam> choice)
        where TSeam : class => (TSeam)Objects[typeof(TSeam)];

    public TSeam Resolve<TSeam>(string name)
        where TSeam : class => (TSeam)Objects[typeof(TSeam)];

    public IReadOnlyList<string> NamesOf<TSeam>()
        where TSeam : class => [];

    public ITokenizer Tokenizer(string hash) => throw new NotSupportedException();

    public void AddTokenizer(ITokenizer tokenizer) => throw new NotSupportedException();
}
