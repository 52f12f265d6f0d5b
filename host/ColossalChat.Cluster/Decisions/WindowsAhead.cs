using System.Collections.Immutable;

namespace ColossalChat.Cluster;

/// <summary>
/// Which training windows may begin before their iteration does. A window may only be written with weights that are at most
/// <paramref name="Staleness"/> updates old when it is trained, and no more than so many windows are ever ahead.
/// </summary>
/// <param name="Staleness">Bound in updates; 0 lets nothing begin early.</param>
/// <param name="Last">Last iteration of the run.</param>
/// <param name="Training">Iteration that trains, or trained last; 0 before the first.</param>
/// <param name="Begun">Last window that began; windows begin in order.</param>
/// <param name="Whole">Windows of which everything is there.</param>
internal sealed record WindowsAhead(int Staleness, long Last, long Training, long Begun, ImmutableSortedSet<long> Whole)
{
    /// <summary>Nothing began yet.</summary>
    /// <param name="staleness">Bound in updates.</param>
    /// <param name="last">Last iteration of the run.</param>
    /// <param name="after">Iteration that the run goes on after.</param>
    public static WindowsAhead Of(int staleness, long last, long after) => new(staleness, last, after, after, []);

    /// <summary>Oldest version of the weights that may write a window; iteration n trains version n.</summary>
    public long OldestVersion(long window) => window - Staleness;

    /// <summary>The window that begins next; null while none may.</summary>
    /// <param name="oldestVersion">Oldest version that anybody who takes batches has.</param>
    /// <param name="mayGoAhead">False while the run is about to stop or to change: nothing begins early then.</param>
    public long? Next(long oldestVersion, bool mayGoAhead)
    {
        var next = Begun + 1;
        var most = Math.Min(Last, Training + (mayGoAhead ? Staleness : 0));
        return next <= most && oldestVersion >= OldestVersion(next) ? next : null;
    }

    /// <summary>An iteration trains from now on.</summary>
    public WindowsAhead Train(long iteration) => this with { Training = iteration, Whole = Whole.Except(Whole.TakeWhile(window => window < iteration)) };

    /// <summary>A window began.</summary>
    /// <exception cref="InvalidOperationException">It is not the next: a fault of the host itself.</exception>
    public WindowsAhead Begin(long window) => window == Begun + 1
        ? this with { Begun = window }
        : throw new InvalidOperationException($"Window {window} began after window {Begun}.");

    /// <summary>Everything of a window is there.</summary>
    public WindowsAhead Join(long window) => this with { Whole = Whole.Add(window) };

    /// <summary>Windows that began and miss something.</summary>
    public IEnumerable<long> Open
    {
        get
        {
            for (var window = Training + 1; window <= Begun; window++)
                if (!Whole.Contains(window))
                    yield return window;
        }
    }
}
