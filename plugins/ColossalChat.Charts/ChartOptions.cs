using ColossalChat.Contracts;

namespace ColossalChat.Charts;

/// <summary>Options of <c>png</c>.</summary>
public sealed record ChartOptions : ICheckedOptions
{
    /// <summary>Width of one chart in pixels. 200 to 4000; default 640.</summary>
    public int Width { get; init; } = 640;

    /// <summary>Height of one chart in pixels. 150 to 4000; default 440.</summary>
    public int Height { get; init; } = 440;

    /// <summary>Charts in a row before the next row begins. 1 to 10; default 3.</summary>
    public int Columns { get; init; } = 3;

    /// <summary>
    /// A line with more points than this is drawn faint with its moving average over it. 10 or more; default 60.
    /// </summary>
    public int SmoothAbove { get; init; } = 60;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Width is < 200 or > 4000)
            yield return $"width is {Width}; it must be from 200 to 4000 pixels.";
        if (Height is < 150 or > 4000)
            yield return $"height is {Height}; it must be from 150 to 4000 pixels.";
        if (Columns is < 1 or > 10)
            yield return $"columns is {Columns}; it must be from 1 to 10.";
        if (SmoothAbove < 10)
            yield return $"smooth-above is {SmoothAbove}; it must be 10 or more.";
    }
}
