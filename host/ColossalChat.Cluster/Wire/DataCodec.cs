using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Data records of the contracts as bytes: one pair of methods each, which write and read the same fields in the same order.
/// Messages and the journal share them. A field is added at the end of its pair, in one line of each; stored bytes of before are
/// then another version (<see cref="WireWriter.HeadByte"/>).
/// </summary>
internal static class DataCodec
{
    // Bytes that an empty value takes, the least that one in a list can have.
    private const int LeastText = 1;
    private const int LeastConversation = 1;
    private const int LeastTurn = 3;
    private const int LeastScores = 4;
    private const int LeastColumn = 2;

    /// <summary>Bytes of an <see cref="Experience"/> without rows.</summary>
    public const int LeastExperience = 3;

    /// <summary>Bytes of a <see cref="SampleRow"/> without text.</summary>
    public const int LeastSampleRow = 13;

    public static void Write(WireWriter to, BatchId batch)
    {
        to.Int64(batch.Iteration);
        to.Int32(batch.Shard);
        to.Enum(batch.Purpose);
    }

    public static BatchId ReadBatchId(WireReader from) =>
        new(from.Int64("Iteration"), from.Int32("Shard"), from.Enum<BatchPurpose>("Purpose"));

    public static void Write(WireWriter to, PromptBatch prompts)
    {
        Write(to, prompts.Batch);
        to.Ragged(prompts.Tokens);
        to.List(prompts.PromptIds, static (to, id) => to.Int64(id));
        to.List(prompts.SampleIndexes, static (to, index) => to.Int32(index));
        to.List(prompts.DataJson, static (to, json) => to.Text(json));
        to.Name(prompts.TokenizerHash);
        to.Optional(prompts.Conversations, static (to, all) => to.List(all, static (to, turns) => to.List(turns, Write)));
    }

    public static PromptBatch ReadPromptBatch(WireReader from) => new(
        ReadBatchId(from),
        from.Ragged<int>("Prompts.Tokens"),
        from.List("PromptIds", 1, static from => from.Int64("PromptIds")),
        from.List("SampleIndexes", 1, static from => from.Int32("SampleIndexes")),
        from.List("DataJson", LeastText, static from => from.Text("DataJson")),
        from.Name("TokenizerHash"))
    {
        Conversations = from.Optional<IReadOnlyList<IReadOnlyList<ChatMessage>>>("Conversations", static from =>
            from.List<IReadOnlyList<ChatMessage>>("Conversations", LeastConversation, static from =>
                from.List("Conversation", LeastTurn, ReadChatMessage))),
    };

    public static void Write(WireWriter to, ChatMessage turn)
    {
        to.Enum(turn.Role);
        to.Text(turn.Content);
        to.Optional(turn.Input, static (to, input) => to.Text(input));
    }

    public static ChatMessage ReadChatMessage(WireReader from) => new(from.Enum<ChatRole>("Role"), from.Text("Content"))
    {
        Input = from.Optional("Input", static from => from.Text("Input")),
    };

    public static void Write(WireWriter to, Rollout rollout)
    {
        Write(to, rollout.Prompts);
        to.Ragged(rollout.Tokens);
        to.Ragged(rollout.LogProbs);
        to.Ragged(rollout.IsTarget);
        to.Ragged(rollout.WeightVersions);
        to.List(rollout.FinishReasons, static (to, reason) => to.Enum(reason));
        to.Double(rollout.Temperature);
    }

    public static Rollout ReadRollout(WireReader from) => new(
        ReadPromptBatch(from),
        from.Ragged<int>("Rollout.Tokens"),
        from.Ragged<float>("LogProbs"),
        from.Ragged<bool>("Rollout.IsTarget"),
        from.Ragged<long>("WeightVersions"),
        from.List("FinishReasons", 1, static from => from.Enum<FinishReason>("FinishReasons")))
    {
        Temperature = from.Double("Temperature"),
    };

    public static void Write(WireWriter to, Scores scores)
    {
        to.Enum(scores.Kind);
        to.Ragged(scores.Values);
        to.List(scores.Outcomes, static (to, outcome) => to.Enum(outcome));
        to.List(scores.Reasons, static (to, reason) => to.Text(reason));
    }

    public static Scores ReadScores(WireReader from) => new(
        from.Enum<ScoreKind>("Kind"),
        from.Ragged<float>("Scores.Values"),
        from.List("Outcomes", 1, static from => from.Enum<ScoreOutcome>("Outcomes")),
        from.List("Reasons", LeastText, static from => from.Text("Reasons")));

    public static void Write(WireWriter to, ScoredRollout scored)
    {
        Write(to, scored.Rollout);
        to.List(scored.Scores, static (to, entry) =>
        {
            to.Enum(entry.Key);
            Write(to, entry.Value);
        });
    }

    public static ScoredRollout ReadScoredRollout(WireReader from) => new(
        ReadRollout(from),
        from.Map("Scores", 1 + LeastScores, static from => from.Enum<ScoreKind>("Scores"), ReadScores));

    public static void Write(WireWriter to, Experience experience)
    {
        to.Ragged(experience.Tokens);
        to.Ragged(experience.IsTarget);
        to.List(experience.Columns, static (to, column) =>
        {
            to.Name(column.Key);
            to.Ragged(column.Value);
        });
    }

    public static Experience ReadExperience(WireReader from) => new(
        from.Ragged<int>("Experience.Tokens"),
        from.Ragged<bool>("Experience.IsTarget"),
        from.Map("Columns", LeastColumn, static from => from.Name("Columns"), static from => from.Ragged<float>("Columns")));

    public static void Write(WireWriter to, TrainRequest request)
    {
        to.Int64(request.Iteration);
        to.Int64(request.Iterations);
        Write(to, request.Experience);
        to.Int32(request.MostRows);
        to.Int64(request.GroupTargetTokens);
    }

    public static TrainRequest ReadTrainRequest(WireReader from) =>
        new(from.Int64("Iteration"), from.Int64("Iterations"), ReadExperience(from))
        {
            MostRows = from.Int32("MostRows"),
            GroupTargetTokens = from.Int64("GroupTargetTokens"),
        };

    public static void Write(WireWriter to, SampleRow row)
    {
        to.Text(row.Prompt);
        to.Text(row.Response);
        to.OptionalDouble(row.Score);
        to.Double(row.Kl);
        to.Int32(row.Tokens);
        to.Enum(row.FinishReason);
    }

    public static SampleRow ReadSampleRow(WireReader from) => new(
        from.Text("Prompt"),
        from.Text("Response"),
        from.OptionalDouble("Score"),
        from.Double("Kl"),
        from.Int32("Tokens"),
        from.Enum<FinishReason>("FinishReason"));

    public static void Write(WireWriter to, BlobReference blob)
    {
        to.Name(blob.Name);
        to.Int64(blob.Bytes);
        to.Name(blob.Hash);
        to.Name(blob.Location);
    }

    public static BlobReference ReadBlobReference(WireReader from) =>
        new(from.Name("Blob.Name"), from.Int64("Bytes"), from.Name("Hash")) { Location = from.Name("Location") };

    public static void Write(WireWriter to, WeightsPublication publication)
    {
        to.Name(publication.Model);
        to.Int64(publication.Epoch);
        to.Int64(publication.Version);
        to.Name(publication.ContentHash);
        to.Optional(publication.Blob, Write);
        to.Name(publication.Publisher);
    }

    public static WeightsPublication ReadWeightsPublication(WireReader from) => new(
        from.Name("Model"),
        from.Int64("Epoch"),
        from.Int64("Version"),
        from.Name("ContentHash"),
        from.Optional("Blob", ReadBlobReference)) { Publisher = from.Name("Publisher") };

    public static void Write(WireWriter to, KeptTensor tensor)
    {
        to.Name(tensor.Name);
        to.Enum(tensor.Type);
        to.List(tensor.Shape, static (to, size) => to.Int64(size));
        to.Int32(tensor.Bytes);
    }

    public static KeptTensor ReadKeptTensor(WireReader from) => new(
        from.Name("Tensor.Name"),
        from.Enum<ElementType>("Type"),
        from.List("Shape", 1, static from => from.Int64("Shape")),
        from.Int32("Tensor.Bytes"));
}
