namespace ColossalChat.Cluster;

/// <summary>Waits for several answers, in whatever order they come, and asks again for those that do not come.</summary>
internal sealed class AnswerBarrier
{
    private readonly HashSet<string> _awaited = [];
    private Action _then = () => { };
    private Action _again = () => { };

    /// <summary>How often in a row answers were asked for again and none came.</summary>
    public int Repeats { get; private set; }

    /// <summary>Waits for these answers and nothing else any more.</summary>
    /// <param name="answers">Names of the answers; at least one.</param>
    /// <param name="then">What follows when all are there.</param>
    /// <param name="again">Asks once more for all that is missing; whoever has it answered already answers again.</param>
    public void Await(IEnumerable<string> answers, Action then, Action? again = null)
    {
        _awaited.Clear();
        _awaited.UnionWith(answers);
        (_then, _again, Repeats) = (then, again ?? (() => { }), 0);
    }

    /// <summary>An answer is there; false when nobody waits for it.</summary>
    public bool Arrive(string answer)
    {
        if (!_awaited.Remove(answer))
            return false;
        Repeats = 0;
        GoOn();
        return true;
    }

    /// <summary>As <see cref="Arrive"/>, of something that may happen while nobody waits for it.</summary>
    public void ArriveIfAwaited(string answer)
    {
        if (_awaited.Contains(answer))
            Arrive(answer);
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

    private void GoOn()
    {
        if (_awaited.Count == 0)
            _then();
    }
}
