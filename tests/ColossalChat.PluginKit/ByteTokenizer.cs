using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.PluginKit;

/// <summary>Each UTF-8 byte is an id; 256 begins a sequence, 257 ends an answer.</summary>
public sealed class ByteTokenizer : ITokenizer
{
    private const int Bos = 256;
    private const int Eos = 257;

    public string Hash => "bytes-1";

    public int VocabularySize => 258;

    public int? BosId => Bos;

    public IReadOnlyList<int> EosIds { get; } = [Eos];

    public IReadOnlyDictionary<string, int> SpecialTokens { get; } = new Dictionary<string, int> { ["<s>"] = Bos, ["</s>"] = Eos };

    public IReadOnlyList<int> Encode(string text) => [.. Encoding.UTF8.GetBytes(text).Select(b => (int)b)];

    public IReadOnlyList<int> EncodeDocument(string text) => [Bos, .. Encode(text)];

    public string Decode(IEnumerable<int> ids, bool withSpecial = false)
    {
        var text = new StringBuilder();
        var bytes = new List<byte>();
        foreach (var id in ids)
        {
            if (id < Bos)
            {
                bytes.Add((byte)id);
                continue;
            }

            text.Append(Encoding.UTF8.GetString([.. bytes]));
            bytes.Clear();
            if (withSpecial)
                text.Append(id == Bos ? "<s>" : "</s>");
        }

        return text.Append(Encoding.UTF8.GetString([.. bytes])).ToString();
    }

    public ITextStream NewStream() => new ByteStream();

    private sealed class ByteStream : ITextStream
    {
        private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

        public string Add(int id) => id < Bos ? Take([(byte)id], flush: false) : "";

        public string Finish() => Take([], flush: true);

        private string Take(byte[] bytes, bool flush)
        {
            var characters = new char[8];
            return new string(characters, 0, _decoder.GetChars(bytes, characters, flush));
        }
    }
}
