using Spectre.Console;

namespace ColossalChat.Host.Node;

/// <summary>Standard error as the host uses it: lines, and one live line at the bottom while a run is going on.</summary>
internal sealed class HostConsole
{
    private readonly TextWriter _error;
    private readonly IAnsiConsole? _terminal;
    private readonly Lock _lock = new();

    /// <summary>Wraps a writer.</summary>
    /// <param name="error">Takes progress and remarks.</param>
    /// <param name="isTerminal">True when a person watches a terminal; then the live line is drawn.</param>
    public HostConsole(TextWriter error, bool isTerminal)
    {
        _error = error;
        if (isTerminal)
            _terminal = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) });
    }

    /// <summary>Whether a live line can be drawn.</summary>
    public bool IsTerminal => _terminal is not null;

    /// <summary>The writer beneath.</summary>
    public TextWriter Error => _error;

    /// <summary>Writes one line above the live line.</summary>
    public void Line(string text)
    {
        lock (_lock)
        {
            if (_terminal is not null)
                _terminal.WriteLine(text);
            else
                _error.WriteLine(text);
        }
    }

    /// <summary>Runs something with a live line that <paramref name="work"/> may rewrite at any time, from any thread.</summary>
    public async Task<TResult> WithLiveLineAsync<TResult>(string first, Func<Action<string>, Task<TResult>> work)
    {
        if (_terminal is null)
            return await work(_ => { }).ConfigureAwait(false);
        return await _terminal.Status().StartAsync(Markup.Escape(first), status => work(text => status.Status(Markup.Escape(text)))).ConfigureAwait(false);
    }
}
