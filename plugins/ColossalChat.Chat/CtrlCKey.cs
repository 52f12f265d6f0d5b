namespace ColossalChat.Chat;

/// <summary>Tells whether the person wants an answer to stop.</summary>
internal interface IStopKey
{
    /// <summary>Begins to listen; disposing ends it.</summary>
    IDisposable Listen();

    /// <summary>True when it was pressed since the last question.</summary>
    bool WasPressed();
}

/// <summary>
/// Ctrl+C while an answer is written. The program ends on that signal, so during an answer the terminal hands it over
/// as a key instead; between answers it stays a signal.
/// </summary>
internal sealed class CtrlCKey : IStopKey, IDisposable
{
    private bool _isListening;

    /// <inheritdoc/>
    public IDisposable Listen()
    {
        _isListening = !Console.IsInputRedirected;
        if (_isListening)
            Console.TreatControlCAsInput = true;
        return this;
    }

    /// <inheritdoc/>
    public bool WasPressed()
    {
        while (_isListening && Console.KeyAvailable)
        {
            var key = Console.ReadKey(intercept: true);
            if (key is { Key: ConsoleKey.C, Modifiers: ConsoleModifiers.Control } or { KeyChar: '\u0003' })
                return true;
        }

        return false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_isListening)
            Console.TreatControlCAsInput = false;
        _isListening = false;
    }
}
