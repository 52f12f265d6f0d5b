using System.Collections.Immutable;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

// How the training windows of an online run begin and end for the journal.
internal sealed partial class IterationActor
{
    private ImmutableSortedDictionary<string, string> _weights = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    private int TrainingBatches => WindowPlan.Cut(Plan.PromptsPerIteration, Plan.AnswersPerPrompt, Plan.RowsPerBatch).Length;

    private static string LoadAnswer(long iteration, string model, string reader) => $"load {iteration} {model} {reader}";

    private void Loaded(WeightsLoaded loaded)
    {
        if (loaded.Iteration == _iteration)
            _weights = _weights.SetItem(loaded.Publication.Model, loaded.Publication.ContentHash);
        _pools.Loaded(loaded);
        if (_roles.Readers.ContainsKey(loaded.Reader))
            ArriveIfAwaited(LoadAnswer(loaded.Iteration, loaded.Publication.Model, AnyOf(RoleSlots.RoleOf(loaded.Reader))));
        ArriveIfAwaited(LoadAnswer(loaded.Iteration, loaded.Publication.Model, loaded.Reader));
        BeginAhead();
    }

    // A run without a journal asks nobody, and what has begun is not looked up again.
    private void OpenTraining()
    {
        if (_flow.Journal.IsNobody() || _started == _iteration)
            StartWindow(_iteration, BatchPurpose.Train, Plan.PromptsPerIteration, Plan.AnswersPerPrompt);
        else
            _flow.Journal.Tell(new OpenWindow(_flow.Epoch, _iteration, TrainingBatches, _weights));
    }

    // What was made before, from the same weights, is not made again.
    private void StartTraining(WindowOpened opened)
    {
        var known = KnownBatches.Usable(opened.Parts, _facts);
        if (!known.IsEmpty)
        {
            _flow.Note("journal", KnownBatches.Describe(opened.Iteration, known, TrainingBatches));
            _roles.Prompts.Tell(new UseKnown(opened.Iteration, known));
        }

        StartWindow(opened.Iteration, BatchPurpose.Train, Plan.PromptsPerIteration, Plan.AnswersPerPrompt);
    }

    // All trainers are done and their weights are published, so these are the weights after it.
    private void AcknowledgeTraining()
    {
        if (IsOnline)
            _flow.Journal.Tell(new KeepAcknowledgement(_flow.Epoch, _iteration, _weights));
    }
}
