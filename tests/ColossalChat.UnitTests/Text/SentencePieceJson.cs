using System.Text;
using System.Text.Json;

namespace ColossalChat.UnitTests.Text;

/// <summary>Rewrites a small SentencePiece BPE model as a <c>tokenizer.json</c>, as Hugging Face's converter does.</summary>
internal static class SentencePieceJson
{
    public static string Of(byte[] model)
    {
        var pieces = Pieces(model);
        var ids = pieces.Select((piece, id) => (piece.Text, id)).ToDictionary(pair => pair.Text, pair => pair.id);
        var merges = pieces
            .SelectMany(piece => Enumerable.Range(1, Math.Max(0, piece.Text.Length - 1))
                .Select(cut => (Left: piece.Text[..cut], Right: piece.Text[cut..], piece.Score)))
            .Where(merge => ids.ContainsKey(merge.Left) && ids.ContainsKey(merge.Right))
            .OrderByDescending(merge => merge.Score)
            .Select(merge => $"{merge.Left} {merge.Right}");
        return JsonSerializer.Serialize(new
        {
            model = new { type = "BPE", byte_fallback = true, unk_token = "<unk>", vocab = ids, merges },
            normalizer = new
            {
                type = "Sequence",
                normalizers = new object[] { new { type = "Prepend", prepend = "\u2581" }, new { type = "Replace", pattern = new { String = " " }, content = "\u2581" } },
            },
            post_processor = new { type = "TemplateProcessing", single = new object[] { new { SpecialToken = new { id = "<s>", type_id = 0 } }, new { Sequence = new { id = "A", type_id = 0 } } } },
            added_tokens = new object[]
            {
                new { id = 0, content = "<unk>", special = true }, new { id = 1, content = "<s>", special = true }, new { id = 2, content = "</s>", special = true },
            },
        });
    }

    /// <summary>The vocabulary in the order of ids, up to the file's other parts.</summary>
    // Field 1 of the file is a piece: text (1), score (2), type (3); none of these pieces is longer than 127 bytes.
    internal static List<(string Text, float Score, int Type)> Pieces(byte[] model)
    {
        var pieces = new List<(string, float, int)>();
        for (var at = 0; at < model.Length && model[at] == 0x0A; at += 2 + model[at + 1])
        {
            var (text, end) = (at + 4 + model[at + 3], at + 2 + model[at + 1]);
            var type = text < end && model[text] == 0x15 ? text + 5 : text;
            pieces.Add((
                Encoding.UTF8.GetString(model, at + 4, model[at + 3]),
                type > text ? BitConverter.ToSingle(model, text + 1) : 0,
                type < end && model[type] == 0x18 ? model[type + 1] : 1));
        }

        return pieces;
    }
}
