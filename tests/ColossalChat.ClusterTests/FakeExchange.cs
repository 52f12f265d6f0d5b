using System.Collections.Concurrent;
using System.Globalization;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster.Tests;

/// <summary>A node's plugins that are a number: roles ask it which version they are made with.</summary>
internal sealed class FakeExchange(params string[] users) : IPluginExchange
{
    private readonly ConcurrentQueue<SwapRequest> _wishes = new();
    private SwapOffer? _offer;
    private bool _isTried;

    /// <summary>Version that roles are made with now.</summary>
    public int Version { get; private set; } = 1;

    /// <summary>What the folder of the run says, for all its nodes.</summary>
    public FakeRecord Record { get; init; } = new();

    /// <summary>What was asked, in order.</summary>
    public ConcurrentQueue<string> Calls { get; } = new();

    /// <summary>Why a candidate is refused before it is tried; null for not at all.</summary>
    public string? Refusal { get; set; }

    /// <summary>Runs before each call with its name.</summary>
    public Action<string> Before { get; set; } = _ => { };

    public IReadOnlyList<PluginCopy> InUse => Version == 1 ? [] : [CopyOf(Version)];

    /// <summary>Has the plugin exchanged as soon as the run looks.</summary>
    public void Wish(string id) => _wishes.Enqueue(new SwapRequest(id, "Fake", "/fake") { IsWatched = true });

    public IReadOnlyList<SwapRequest> Changes()
    {
        var wishes = new List<SwapRequest>();
        while (_wishes.TryDequeue(out var wish))
            wishes.Add(wish);
        return wishes;
    }

    public SwapRequest Copied(SwapRequest request)
    {
        Before("copy");
        return request with { Copy = CopyOf(Version + 1) };
    }

    public SwapOffer Prepare(SwapRequest request)
    {
        if (_offer?.Id == request.Id)
            return _offer;
        Enter("prepare");
        if (Refusal is { } refusal)
            throw new UserErrorException(refusal);
        return _offer = new SwapOffer(request.Id, request.Plugin, $"{Version}", $"{Version + 1}", "");
    }

    public IReadOnlyList<string> Users(string id)
    {
        Enter("users");
        return users;
    }

    public void Switch(string id)
    {
        Enter("switch");
        Version++;
        _isTried = true;
    }

    public void GoBack(string id)
    {
        if (_offer?.Id != id)
            return;
        Enter("back");
        if (_isTried)
            Version--;
        (_offer, _isTried) = (null, false);
    }

    void IPluginExchange.Record(string id, long iteration)
    {
        Before("record");
        Record.Versions = InUse;
    }

    public string Commit(string id)
    {
        Enter($"commit {id}");
        (_offer, _isTried) = (null, false);
        return "Advice.";
    }

    public IReadOnlyList<PluginCopy> Recorded() => Record.Versions;

    public bool IsRecorded(SwapRequest request) => Record.Versions.Any(copy => (copy.Plugin, copy.Source) == (request.Plugin, request.Folder));

    public bool Uses(IReadOnlyList<PluginCopy> versions) => !_isTried && versions.SequenceEqual(InUse);

    public void Use(IReadOnlyList<PluginCopy> versions)
    {
        if (Uses(versions))
            return;
        var version = versions.Count == 0 ? 1 : int.Parse(versions[0].Place, CultureInfo.InvariantCulture);
        Enter($"use {version}");
        (Version, _offer, _isTried) = (version, null, false);
    }

    public IReadOnlyList<RetiredPlugin> Collect() => [];

    private static PluginCopy CopyOf(int version) => new("Fake", $"{version}", $"hash {version}", "/fake");

    private void Enter(string call)
    {
        Calls.Enqueue(call);
        Before(call);
    }
}

/// <summary>What the folder of a run says about its plugins.</summary>
internal sealed class FakeRecord
{
    public IReadOnlyList<PluginCopy> Versions { get; set; } = [];
}
