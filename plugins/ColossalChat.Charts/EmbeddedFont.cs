using ScottPlot;
using SkiaSharp;

namespace ColossalChat.Charts;

/// <summary>
/// Open Sans from this assembly, for every font name asked for. A bare machine has no fonts, and text in a font that is
/// missing is left out of the picture without an error.
/// </summary>
internal sealed class EmbeddedFont : IFontResolver
{
    /// <summary>Family name inside the font file.</summary>
    public const string Family = "Open Sans";

    private static readonly Lazy<EmbeddedFont> Registration = new(Register);
    private readonly SKData _file;

    private EmbeddedFont(SKData file) => _file = file;

    /// <summary>Makes it the font of every plot drawn from now on.</summary>
    public static void Use() => _ = Registration.Value;

    /// <inheritdoc/>
    public SKTypeface CreateTypeface(string fontName, FontWeight weight, FontSlant slant, FontSpacing spacing) =>
        SKTypeface.FromData(_file);

    /// <inheritdoc/>
    public SKTypeface CreateTypeface(string fontName, bool bold, bool italic) => SKTypeface.FromData(_file);

    private static EmbeddedFont Register()
    {
        using var stream = typeof(EmbeddedFont).Assembly.GetManifestResourceStream("OpenSans-Regular.ttf")
            ?? throw new InvalidOperationException("OpenSans-Regular.ttf is not in the assembly ColossalChat.Charts.");
        var font = new EmbeddedFont(SKData.Create(stream));
        Fonts.FontResolvers.Clear();
        Fonts.FontResolvers.Add(font);
        Fonts.Default = Fonts.Sans = Fonts.Serif = Fonts.Monospace = Family;
        return font;
    }
}
