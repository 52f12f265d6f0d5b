using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>
/// Hands out prompts. What it hands out depends on seed, data and arguments only: training prompts epoch by epoch in an
/// order keyed by the epoch, held-out ones in file order.
/// </summary>
internal sealed class PromptSource : IPromptSource
{
    // Keeps this order apart from all others that are shuffled by the same seed.
    private const long OrderStream = 0x50524F4D;

    private readonly PromptSet _set;
    private readonly string _tokenizerHash;
    private readonly ulong _seed;
    private readonly string _fingerprint;
    private int _promptsPerIteration;
    private (long Epoch, int[] Order) _lastOrder = (-1, []);

    private PromptSource(PromptSet set, string tokenizerHash, ulong seed) =>
        (_set, _tokenizerHash, _seed, _fingerprint) = (set, tokenizerHash, seed, set.Fingerprint(seed));

    /// <inheritdoc/>
    public int HeldOutPrompts => _set.HeldOut.Count;

    /// <summary>Reads and renders the prompts.</summary>
    /// <exception cref="UserErrorException">There is none to train on, or data are malformed and that is fatal.</exception>
    public static PromptSource Create(PromptSourceOptions options, INodeContext context)
    {
        var dataset = FileDataset.Load(options.Files, options.Format, options.OnBadRow);
        var catalog = context.Resolve<IModelCatalog>("models");
        var text = catalog.TextOf(options.Model);
        var set = PromptSet.Of(dataset, text, options, ModelContext.OfFolder(catalog.FolderOf(options.Model)));
        context.Log.Info($"Prompts: {set.Train.Count} to train on, {set.HeldOut.Count} held out, from {string.Join(", ", options.Files)}.");
        foreach (var sentence in set.Dropped.Sentences())
            context.Log.Warning(sentence);
        if (set.Train.Count == 0)
            throw new UserErrorException(
                $"No prompt is left to train on in {string.Join(", ", options.Files)}. {string.Join(' ', set.Dropped.Sentences())}".TrimEnd());
        return new PromptSource(set, text.Tokenizer.Hash, context.Seed);
    }

    /// <inheritdoc/>
    public void Begin(StagePlan plan) => _promptsPerIteration = plan.PromptsPerIteration;

    /// <inheritdoc/>
    public PromptBatch Take(BatchId batch, int firstPrompt, int prompts, int answersPerPrompt)
    {
        var isEvaluation = batch.Purpose == BatchPurpose.Evaluate;
        if (isEvaluation && HeldOutPrompts == 0)
            throw new UserErrorException("There are no held-out prompts to measure on. Set held-out above 0, or evaluation-prompts = 0.");
        var rows = Enumerable.Range(firstPrompt, prompts)
            .Select(index => isEvaluation ? (Prompt: _set.HeldOut[index % HeldOutPrompts], Pass: index / HeldOutPrompts) : TrainingPrompt(batch.Iteration, index))
            .SelectMany(place => Enumerable.Range(0, answersPerPrompt).Select(answer => (place.Prompt, Sample: (place.Pass * answersPerPrompt) + answer)))
            .ToArray();
        return new PromptBatch(
            batch,
            Ragged.FromRows(rows.Select(row => row.Prompt.Ids)),
            [.. rows.Select(row => row.Prompt.Id)],
            [.. rows.Select(row => row.Sample)],
            [.. rows.Select(row => row.Prompt.DataJson)],
            _tokenizerHash)
        {
            Conversations = [.. rows.Select(row => row.Prompt.Turns)],
        };
    }

    /// <inheritdoc/>
    public void Capture(IStateWriter writer) => DataFingerprint.Capture(writer, _fingerprint);

    /// <inheritdoc/>
    public void Restore(IStateReader reader) => DataFingerprint.Restore(reader, _fingerprint);

    // Without a plan nothing says how many prompts came before, so each iteration draws its own order. The pass tells
    // apart two places of one prompt in one iteration: their answers must not come from the same random numbers.
    private (Prompt Prompt, int Pass) TrainingPrompt(long iteration, int index)
    {
        var count = _set.Train.Count;
        if (_promptsPerIteration == 0)
            return (_set.Train[OrderOf(iteration)[index % count]], index / count);
        var first = checked((iteration - 1) * _promptsPerIteration);
        var place = first + index;
        return (_set.Train[OrderOf(place / count)[(int)(place % count)]], (int)((place / count) - (first / count)));
    }

    private int[] OrderOf(long epoch)
    {
        if (_lastOrder.Epoch != epoch)
            _lastOrder = (epoch, new RandomKey(_seed, RandomPurpose.Shuffle, epoch, OrderStream).Permutation(_set.Train.Count));
        return _lastOrder.Order;
    }
}
