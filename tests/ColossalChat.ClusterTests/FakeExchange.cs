using System.Collections.Concurrent;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster.Tests;

/// <summary>A node's plugins that are a number: roles ask it which version they are made with.</summary>
internal sealed class FakeExchange(params string[] users) : IPluginExchange
{
    private readonly ConcurrentQueue<SwapRequest> _wishes = new();
    private SwapOffer? _offer;

    /// <summary>Version that roles are made with now.</summary>
    public int Version { get; private set; } = 1;

    /// <summary>What was asked, in order.</summary>
    public ConcurrentQueue<string> Calls { get; } = new();

    /// <summary>Why a candidate is refused before it is tried; null for not at all.</summary>
    public string? Refusal { get; set; }

    /// <summary>Has the plugin exchanged as soon as the run looks.</summary>
    public void Wish(string id) => _wishes.Enqueue(new SwapRequest(id, "Fake", "/fake") { IsWatched = true });

    public IReadOnlyList<SwapRequest> Changes()
    {
        var wishes = new List<SwapRequest>();
        while (_wishes.TryDequeue(out var wish))
            wishes.Add(wish);
        return wishes;
    }

    public SwapOffer Prepare(SwapRequest request)
    {
        Calls.Enqueue("prepare");
        if (Refusal is { } refusal)
            throw new UserErrorException(refusal);
        return _offer = new SwapOffer(request.Id, request.Plugin, $"{Version}", $"{Version + 1}", "");
    }

    public IReadOnlyList<string> Users(string id)
    {
        Calls.Enqueue("users");
        return users;
    }

    public void Switch(string id)
    {
        Calls.Enqueue("switch");
        Version++;
    }

    public void GoBack(string id)
    {
        if (_offer is null)
            return;
        Calls.Enqueue("back");
        if (Calls.Contains("switch"))
            Version--;
        _offer = null;
    }

    public string Commit(string id, long iteration)
    {
        Calls.Enqueue($"commit {id}");
        _offer = null;
        return "Advice.";
    }

    public IReadOnlyList<RetiredPlugin> Collect() => [];
}
