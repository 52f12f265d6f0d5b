using System.Globalization;
using System.Text;

namespace ColossalChat.Text;

/// <summary>
/// SentencePiece's merging: of all neighbours whose union is a piece the best-scored are joined first, the leftmost among
/// equals, until none is left; a character that is no piece is spelled in bytes.
/// </summary>
/// <remarks>
/// Of our own, because Microsoft.ML.Tokenizers 2.0.1 takes the rightmost among equals: it cuts "aaa" into a|aa and twenty
/// spaces into 4 + 16, where SentencePiece, Hugging Face and llama.cpp have aa|a and 16 + 4, the ids that published
/// models were trained on.
/// </remarks>
internal sealed class SentencePieceMerges
{
    private readonly Dictionary<string, (int Id, float Score)>.AlternateLookup<ReadOnlySpan<char>> _pieces;
    private readonly int[] _byteIds;
    private readonly int _unknownId;

    /// <summary>Keeps what text can become: plain pieces and bytes. Special pieces are never made of text.</summary>
    public SentencePieceMerges(SentencePieceFile file)
    {
        var pieces = new Dictionary<string, (int Id, float Score)>(StringComparer.Ordinal);
        _byteIds = new int[256];
        _unknownId = file.UnknownId;
        Array.Fill(_byteIds, _unknownId);
        for (var id = 0; id < file.Pieces.Count; id++)
        {
            var (text, score, type) = file.Pieces[id];
            if (type is PieceType.Normal or PieceType.UserDefined)
                pieces.TryAdd(text, (id, score));
            else if (type == PieceType.Byte)
                _byteIds[byte.Parse(text.AsSpan(3, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)] = id;
        }

        SpellsInBytes = file.Pieces.Any(piece => piece.Type == PieceType.Byte);
        _pieces = pieces.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    private bool SpellsInBytes { get; }

    /// <summary>Ids of a text whose spaces are marked already.</summary>
    public List<int> Encode(string text)
    {
        var symbols = Characters(text);
        var agenda = new PriorityQueue<Pair, (float Worse, int Left)>();
        for (var right = 1; right < symbols.Length; right++)
            Propose(text, symbols, agenda, right - 1, right);
        while (agenda.TryDequeue(out var pair, out _))
        {
            ref var left = ref symbols[pair.Left];
            ref var right = ref symbols[pair.Right];
            // Proposed before one of the two was joined with another.
            if (left.Length == 0 || right.Length == 0 || left.Length + right.Length != pair.Length)
                continue;
            left.Length = pair.Length;
            left.Next = right.Next;
            right.Length = 0;
            if (left.Next >= 0)
                symbols[left.Next].Previous = pair.Left;
            Propose(text, symbols, agenda, left.Previous, pair.Left);
            Propose(text, symbols, agenda, pair.Left, left.Next);
        }

        var ids = new List<int>(symbols.Length);
        foreach (var symbol in symbols.Where(symbol => symbol.Length > 0))
            Spell(text.AsSpan(symbol.Start, symbol.Length), ids);
        return ids;
    }

    private void Propose(string text, Symbol[] symbols, PriorityQueue<Pair, (float, int)> agenda, int left, int right)
    {
        if (left < 0 || right < 0)
            return;
        var length = symbols[left].Length + symbols[right].Length;
        if (_pieces.TryGetValue(text.AsSpan(symbols[left].Start, length), out var union))
            agenda.Enqueue(new Pair(left, right, length), (-union.Score, left));
    }

    private void Spell(ReadOnlySpan<char> symbol, List<int> ids)
    {
        if (_pieces.TryGetValue(symbol, out var piece))
        {
            ids.Add(piece.Id);
            return;
        }

        if (!SpellsInBytes)
        {
            ids.Add(_unknownId);
            return;
        }

        Span<byte> bytes = stackalloc byte[4];
        foreach (var value in bytes[..Encoding.UTF8.GetBytes(symbol, bytes)])
            ids.Add(_byteIds[value]);
    }

    private static Symbol[] Characters(string text)
    {
        var symbols = new List<Symbol>(text.Length);
        for (int start = 0, length; start < text.Length; start += length)
        {
            length = char.IsSurrogatePair(text, start) ? 2 : 1;
            symbols.Add(new Symbol { Start = start, Length = length, Previous = symbols.Count - 1, Next = symbols.Count + 1 });
        }

        var all = symbols.ToArray();
        if (all.Length > 0)
            all[^1].Next = -1;
        return all;
    }

    // A piece of the text in a chain; length 0 once it is part of the one before it.
    private struct Symbol
    {
        public int Start;
        public int Length;
        public int Previous;
        public int Next;
    }

    private readonly record struct Pair(int Left, int Right, int Length);
}
