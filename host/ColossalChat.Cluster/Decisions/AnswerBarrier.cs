namespace ColossalChat.Cluster;

/// <summary>Waits for several answers, in whatever order they come, and asks again for those that do not come.</summary>
internal sealed class AnswerBarrier
{
    private readonly HashSet<string> _awaited = [];
    private Action _then = () => { };
    private Action _again = () => { };

    /// <summary>How often in a row answers were asked for again and none came.</summary>
    public int Repeats { get; private set; }

    /// <summary>Waits for these answers and nothing else any more; goes on at once when there are none.</summary>
    /// <param name="answers">Names of the answers.</param>
    /// <param name="then">What follows when all are there.</param>
    /// <param name="again">Asks once more for all that is missing; whoever has it answered already answers again.</param>
    public void Await(IEnumerable<string> answers, Action then, Action? again = null)
    {
        Set(answers, then, again ?? (() => { }));
        GoOn();
    }

    /// <summary>Asks for these answers, now and again, and waits for them as <see cref="Await"/> does.</summary>
    /// <param name="answers">Names of the answers.</param>
    /// <param name="then">What follows when all are there.</param>
    /// <param name="ask">Asks for all that is missing.</param>
    public void AwaitAsked(IEnumerable<string> answers, Action then, Action ask)
    {
        Set(answers, then, ask);
        ask();
        GoOn();
    }

    /// <summary>True while this answer is missing.</summary>
    public bool Awaits(string answer) => _awaited.Contains(answer);

    /// <summary>An answer is there; false when nobody waits for it.</summary>
    public bool Arrive(string answer)
    {
        if (!_awaited.Remove(answer))
            return false;
        Repeats = 0;
        GoOn();
        return true;
    }

    /// <summary>Some answers cannot come any more and are not needed.</summary>
    public void Forget(Predicate<string> answers)
    {
        if (_awaited.RemoveWhere(answers) > 0)
            GoOn();
    }

    public void AskAgain()
    {
        if (_awaited.Count == 0)
            return;
        Repeats++;
        _again();
    }

    private void Set(IEnumerable<string> answers, Action then, Action again)
    {
        _awaited.Clear();
        _awaited.UnionWith(answers);
        (_then, _again, Repeats) = (then, again, 0);
    }

    private void GoOn()
    {
        if (_awaited.Count == 0)
            _then();
    }
}
