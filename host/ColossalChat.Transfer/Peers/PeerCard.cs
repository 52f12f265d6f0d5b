using System.Text.Json;

namespace ColossalChat.Transfer;

/// <summary>How the other ranks of a group reach one that waits for them.</summary>
/// <param name="Rank">Whose.</param>
/// <param name="Ranks">How many it expects.</param>
/// <param name="Id">New for each wait: who knows it has read this card, so strangers and old cards are told apart.</param>
/// <param name="Address">Of its listener.</param>
/// <param name="Port">Of its listener.</param>
internal sealed record PeerCard(int Rank, int Ranks, Guid Id, string Address, int Port)
{
    public string ToText() => JsonSerializer.Serialize(this);

    /// <summary>Null for anything but a card.</summary>
    public static PeerCard? Parse(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<PeerCard>(text);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>Where waiting ranks of a group hang out their cards. Used by one thread; disposing also withdraws the card.</summary>
internal interface IMeetingBoard : IDisposable
{
    /// <summary>Hangs out a card; called again and again until the ranks have met, because a board may go and come back.</summary>
    /// <exception cref="ArgumentException">Somebody else waits as this rank, or expects another number of ranks.</exception>
    void Show(PeerCard card);

    /// <summary>Cards of those who wait now; may hold some of ranks that are gone.</summary>
    IReadOnlyList<PeerCard> Read();

    /// <summary>Takes this rank's card away. The group is about to be complete, or this rank gives up.</summary>
    void Withdraw();
}
