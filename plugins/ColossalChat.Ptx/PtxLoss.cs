using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Ptx;

/// <summary>
/// Cross-entropy on a stream of its own beside the policy's loss, so that the model goes on predicting text while it
/// learns to please. Its window is divided by its own number of tokens, never by the policy's.
/// </summary>
internal sealed class PtxLoss : IExtraLoss
{
    private const string StateName = "ptx-cursor";
    private readonly PtxOptions _options;
    private readonly IBatchSource? _source;
    private readonly IPtxRows? _rows;
    private readonly RankPlace _place;
    private long _step;

    /// <summary>Reads the data; none may be named with a coefficient of 0.</summary>
    /// <exception cref="UserErrorException">Text is absent or malformed, or max-tokens is above the model's context.</exception>
    public PtxLoss(PtxOptions options, INodeContext context)
    {
        (_options, _place) = (options, context.Place);
        if (options.Data is { } data)
        {
            _source = context.Create(data);
            _rows = new SourceRows(_source);
            return;
        }

        if (options.Files.Count == 0)
            return;
        var tokenizer = TokenizerOf(options, context);
        var (texts, problems) = PlainText.Read(options.Files, options.OnBadRow);
        if (problems.Count > 0)
            context.Log.Warning($"PTX left out {problems.Count} malformed {(problems.Count == 1 ? "row" : "rows")}: {problems[0].File}, row {problems[0].Row} {problems[0].Message}{(problems.Count > 1 ? ", and more" : "")}.");
        _rows = new PlainTextRows(PlainText.Cut(texts, tokenizer, options.MaxTokens), options.RowsPerStep, context.Seed);
    }

    /// <inheritdoc/>
    public string Name => "ptx";

    /// <inheritdoc/>
    public ObjectivePart? Next(Device device)
    {
        if (_rows is null)
            return null;
        var experience = OwnShare(_rows.Take(_step++));
        var window = MicroBatches.Build(experience, new MicroBatchCut { Tokens = _options.MicroBatchTokens }, device);
        return new ObjectivePart(Name, window, TokenCrossEntropy.Instance, _options.Coefficient);
    }

    /// <inheritdoc/>
    public void Capture(IStateWriter writer)
    {
        writer.WriteJson(StateName, JsonSerializer.Serialize(new Dictionary<string, long> { ["step"] = _step }));
        _source?.Capture(writer);
    }

    /// <inheritdoc/>
    public void Restore(IStateReader reader)
    {
        using var document = JsonDocument.Parse(reader.ReadJson(StateName));
        _step = document.RootElement.GetProperty("step").GetInt64();
        _source?.Restore(reader);
    }

    // All ranks draw the same rows and deal them out.
    private Experience OwnShare(Experience rows) => _place.Ranks == 1
        ? rows
        : rows.Pick([.. Enumerable.Range(0, rows.Rows).Where(row => row % _place.Ranks == _place.Rank)]);

    // The trainer holds this model already, so the loan costs nothing; a row beyond its context would fail in a kernel.
    private static ITokenizer TokenizerOf(PtxOptions options, INodeContext context)
    {
        using var model = context.Resolve<IModelStore>("models").Borrow(options.Model);
        var most = model.Body.Shape.ContextLength;
        return options.MaxTokens <= most
            ? model.Text.Tokenizer
            : throw new UserErrorException($"max-tokens of ptx is {options.MaxTokens}, but models.{options.Model} takes {most} tokens. Set max-tokens = {most} or less.");
    }

    /// <inheritdoc/>
    public void Dispose() => (_source as IDisposable)?.Dispose();
}
