using System.Text;

namespace ColossalChat.Host.Node;

/// <summary>
/// A writer for progress and remarks that may lose its reader: when a remote session is closed its terminal is gone, and
/// a run must still finish its step and save.
/// </summary>
/// <param name="inner">Where the text goes while somebody can read it.</param>
internal sealed class ForgivingWriter(TextWriter inner) : TextWriter
{
    /// <inheritdoc/>
    public override Encoding Encoding => inner.Encoding;

    /// <inheritdoc/>
    public override void Write(char value) => Try(() => inner.Write(value));

    /// <inheritdoc/>
    public override void Write(char[] buffer, int index, int count) => Try(() => inner.Write(buffer, index, count));

    /// <inheritdoc/>
    public override void Write(string? value) => Try(() => inner.Write(value));

    /// <inheritdoc/>
    public override void WriteLine(string? value) => Try(() => inner.WriteLine(value));

    /// <inheritdoc/>
    public override void Flush() => Try(inner.Flush);

    private static void Try(Action write)
    {
        try
        {
            write();
        }
        catch (IOException)
        {
            // Nobody reads there any more; results and logs go elsewhere.
            return;
        }
    }
}
