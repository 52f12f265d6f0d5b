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

    // Field 1 of the file is a piece: text (1), score (2), type (3); none of these pieces is longer than 127 bytes.
    private static List<(string Text, float Score)> Pieces(byte[] model)
    {
        var pieces = new List<(string, float)>();
        for (var at = 0; at < model.Length && model[at] == 0x0A; at += 2 + model[at + 1])
        {
            var text = Encoding.UTF8.GetString(model, at + 4, model[at + 3]);
            var score = at + 4 + model[at + 3];
            pieces.Add((text, model[score] == 0x15 ? BitConverter.ToSingle(model, score + 1) : 0));
        }

        return pieces;
    }
}
