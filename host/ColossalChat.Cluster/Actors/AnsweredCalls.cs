using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// What a role answered of late, for those who ask again because the answer was lost on its way. Answers of earlier
/// iterations are dropped: nobody waits for them any more, and they may be large.
/// </summary>
internal sealed class AnsweredCalls
{
    private readonly Dictionary<(BatchId Batch, string What, long Number), (object? Result, TimeSpan Took)> _answers = [];
    private long _newest;

    /// <summary>Gives the request the answer that it got before; false when it got none yet.</summary>
    public bool TryRepeat<TRole>(RoleCall<TRole> call)
    {
        if (!_answers.TryGetValue(call.Key, out var answer))
            return false;
        call.Done(answer.Result, answer.Took);
        return true;
    }

    public void Remember<TRole>(RoleCall<TRole> call, object? result, TimeSpan took)
    {
        if (call.Batch.Iteration > _newest)
        {
            _newest = call.Batch.Iteration;
            foreach (var old in _answers.Keys.Where(key => key.Batch.Iteration < _newest - 1).ToArray())
                _answers.Remove(old);
        }

        _answers[call.Key] = (result, took);
    }
}
