using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Settings that all readers of data files share.</summary>
public abstract record DataOptions : ICheckedOptions
{
    /// <summary>Data files: JSON lists, jsonl (one object a line) or plain text. At least one.</summary>
    public IReadOnlyList<string> Files { get; init; } = [];

    /// <summary>Shape of the files; told by each file's first row by default.</summary>
    public DataFormat Format { get; init; } = DataFormat.Auto;

    /// <summary>What happens to a malformed row. Default skip: left out, counted and reported.</summary>
    public BadRows OnBadRow { get; init; } = BadRows.Skip;

    /// <inheritdoc/>
    public virtual IEnumerable<string> Problems()
    {
        if (Files.Count == 0)
            yield return "files is empty; name at least one data file, such as files = [\"data.jsonl\"].";
    }
}

/// <summary>Settings of readers that set rows aside for measuring.</summary>
public abstract record SplitDataOptions : DataOptions
{
    /// <summary>Model whose tokenizer and chat template are used. Default <c>policy</c>.</summary>
    public string Model { get; init; } = "policy";

    /// <summary>
    /// Rows set aside for measuring: a share below 1, or a whole number of rows. Chosen by a hash of the prompt, so a
    /// prompt stays on its side whatever else is in the file, and in every stage with the same share. Default 0.1.
    /// </summary>
    public double HeldOut { get; init; } = 0.1;

    /// <inheritdoc/>
    public override IEnumerable<string> Problems()
    {
        foreach (var problem in base.Problems())
            yield return problem;
        if (!(HeldOut >= 0) || (HeldOut >= 1 && HeldOut != Math.Floor(HeldOut)) || HeldOut > int.MaxValue)
            yield return $"held-out is {HeldOut}; it must be a share from 0 to below 1, or a whole number of rows.";
    }
}

/// <summary>Settings of a plain dataset.</summary>
public sealed record FileDatasetOptions : DataOptions;
