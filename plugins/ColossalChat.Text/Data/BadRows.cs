namespace ColossalChat.Text;

/// <summary>What happens to a malformed row.</summary>
public enum BadRows
{
    /// <summary>It is left out, counted and reported.</summary>
    Skip,

    /// <summary>It ends the run with file and row number.</summary>
    Fail,
}
