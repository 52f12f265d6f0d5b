using System.Collections.Immutable;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// The part of an attempt's leader that has windows written ahead while an iteration trains (<c>flow.staleness</c> above 0).
/// Training keeps its order and a publication stops nothing: whoever writes takes new weights when he can, and a window does
/// not begin before everybody who takes batches has weights that are young enough for it.
/// </summary>
internal sealed partial class IterationActor
{
    private WindowsAhead? _ahead;
    private ImmutableHashSet<string> _told = [];

    private void ReceiveAhead()
    {
        Receive<WeightsReady>(Published);
        Receive<WindowWhole>(whole =>
        {
            _ahead = _ahead!.Join(whole.Iteration);
            ArriveIfAwaited(WholeAnswer(whole.Iteration));
        });
    }

    private static string WholeAnswer(long window) => $"whole {window}";

    private static string PublishedAnswer(long iteration, string model) => $"published {iteration} {model}";

    private void OpenAhead()
    {
        var staleness = _flow.Definition.Flow.Staleness;
        if (staleness == 0 || !IsOnline)
            return;
        _ahead = WindowsAhead.Of(staleness, _schedule.Last, _iteration);
        StayOnPolicyIfStateful();
    }

    // The state between two iterations would be one after batches of later ones, which are made again after going back. A
    // version of a plugin that was just exchanged may be the first with a state; what is ahead then is whole, and none of it.
    private void StayOnPolicyIfStateful()
    {
        if (_ahead is not { Staleness: > 0 and var staleness }
            || _facts.FirstOrDefault(role => role.Value.HasState && RoleTable.IsReader(role.Key)).Key is not { } stateful)
            return;
        _flow.Note("staleness", $"flow.staleness = {staleness} is not used: {stateful} has a state, which must not know of later windows. The run is on-policy.");
        _ahead = _ahead with { Staleness = 0 };
    }

    // Asked again, what was sent may have been lost on its way to another node.
    private void TrainAhead()
    {
        var isRepeated = _ahead!.Training == _iteration;
        _ahead = _ahead.Train(_iteration);
        _roles.Experience.Tell(new TrainWindow(_iteration, _weights));
        if (isRepeated)
            TellAgainAhead();
        BeginAhead();
    }

    private void TellAgainAhead()
    {
        if (_started >= _iteration)
            StartWindow(_started, BatchPurpose.Train, Plan.PromptsPerIteration, Plan.AnswersPerPrompt);
    }

    private void BeginAhead()
    {
        if (_swaps.IsUnderWay || _pools.OldestVersion is not { } oldest)
            return;
        while (_ahead?.Next(oldest, mayGoAhead: !IsStopping && !_swaps.IsDue) is { } window)
        {
            _ahead = _ahead.Begin(window);
            if (_flow.Journal.IsNobody())
                StartWindow(window, BatchPurpose.Train, Plan.PromptsPerIteration, Plan.AnswersPerPrompt);
            else
                _flow.Journal.Tell(new OpenWindow(_flow.Epoch, window, TrainingBatches, _weights.Clear()) { Staleness = _flow.Definition.Flow.Staleness });
        }
    }

    private void PublishTrained(Action then)
    {
        if (_ahead is null)
        {
            Publish(then);
            return;
        }

        _numbers.PublishBegan();
        _barrier.AwaitAsked(Plan.ModelsTrained.Select(model => PublishedAnswer(_iteration, model)), then, () =>
        {
            var readers = _roles.Readers;
            _told = [.. readers.Keys];
            TellTrainersToPublish(readers.Values.Append(Self));
        });
    }

    private void Published(WeightsReady ready)
    {
        if (ready.Iteration != _iteration)
            return;
        _weights = _weights.SetItem(ready.Publication.Model, ready.Publication.ContentHash);
        _pools.Published(ready, _told);
        ArriveIfAwaited(PublishedAnswer(ready.Iteration, ready.Publication.Model));
    }

    /// <summary>Goes on when all readers have the newest weights: a measurement is one of one policy.</summary>
    private void WhenAllLoaded(Action then) => _barrier.Await(
        _ahead is null ? [] : Plan.ModelsTrained
            .SelectMany(model => _roles.Readers.Keys, (model, reader) => (model, reader))
            .Where(pair => !_pools.Has(pair.reader, pair.model, _iteration))
            .Select(pair => LoadAnswer(_iteration, pair.model, pair.reader)),
        then);

    /// <summary>Goes on when all windows that began are whole, so that no role has a batch.</summary>
    private void WhenNoneIsAhead(Action then) => _barrier.Await(_ahead?.Open.Select(WholeAnswer) ?? [], then, TellAgainAhead);
}
