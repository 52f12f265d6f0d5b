using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>A board that is a directory: one file for each waiting rank, written aside and moved into place.</summary>
internal sealed class DirectoryBoard(string directory, RankPlace place) : IMeetingBoard
{
    private const int Attempts = 10;
    private readonly string _folder = Path.Combine(directory, Uri.EscapeDataString(place.Group));
    private PeerCard? _shown;

    private string FileOf(int rank) => Path.Combine(_folder, $"rank-{rank}.card");

    public void Show(PeerCard card)
    {
        if (_shown is not null)
            return;
        var caller = new Caller(place, card.Id, identity: null);
        // Whoever leaves takes an empty folder away, perhaps between our making it and writing into it.
        for (var attempt = 1; _shown is null; attempt++)
        {
            var aside = Path.Combine(_folder, $"{card.Id:N}.new");
            try
            {
                Directory.CreateDirectory(_folder);
                File.WriteAllText(aside, card.ToText());
                if (Card(card.Rank) is { } other && caller.IsThere(other))
                {
                    File.Delete(aside);
                    throw new ArgumentException($"Rank {card.Rank} of group '{place.Group}' has already come.");
                }

                File.Move(aside, FileOf(card.Rank), overwrite: true);
                _shown = card;
            }
            catch (IOException error) when (attempt < Attempts && error is DirectoryNotFoundException or FileNotFoundException)
            {
                Thread.Yield();
            }
        }
    }

    public IReadOnlyList<PeerCard> Read()
    {
        var cards = new List<PeerCard>();
        for (var rank = 0; rank < place.Ranks; rank++)
            if (rank != place.Rank && Card(rank) is { } card)
                cards.Add(card);
        return cards;
    }

    public void Withdraw()
    {
        if (_shown is null)
            return;
        if (Card(_shown.Rank)?.Id == _shown.Id)
            File.Delete(FileOf(_shown.Rank));
        _shown = null;
        try
        {
            Directory.Delete(_folder);
        }
        catch (IOException)
        {
            // Others still hang there, or took the folder away first; the last one out cleans up.
            return;
        }
    }

    public void Dispose() => Withdraw();

    private PeerCard? Card(int rank)
    {
        try
        {
            return PeerCard.Parse(File.ReadAllText(FileOf(rank))) is { } card && card.Rank == rank ? card : null;
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }
}
