using ColossalChat.Contracts;
using ColossalChat.Quickstart.Data;

namespace ColossalChat.Quickstart;

/// <summary>Where a quickstart keeps its things.</summary>
public sealed class QuickstartFolder
{
    private QuickstartFolder(string root) => Root = root;

    /// <summary>The folder itself.</summary>
    public string Root { get; }

    /// <summary>Training and held-out data.</summary>
    public string Data => Path.Combine(Root, "data");

    /// <summary>Held-out questions.</summary>
    public string HeldOut => Path.Combine(Data, "held-out.jsonl");

    /// <summary>Tokenizer and shape of the model, without weights.</summary>
    public string Base => Path.Combine(Root, "base");

    /// <summary>Run folders of the stages.</summary>
    public string Runs => Path.Combine(Root, "runs");

    /// <summary>Curves of reward, KL and losses.</summary>
    public string Curves => Path.Combine(Root, "curves.png");

    /// <summary>Table and samples, for people.</summary>
    public string Report => Path.Combine(Root, "report.md");

    /// <summary>The same numbers, for programs.</summary>
    public string Figures => Path.Combine(Root, "figures.json");

    /// <summary>Makes the folder.</summary>
    /// <exception cref="UserErrorException">What was asked for is a file, or a folder that is not empty.</exception>
    public static QuickstartFolder Create(string? asked)
    {
        if (File.Exists(asked))
            throw new UserErrorException($"--out {asked} is a file; give a folder.", ExitCode.Usage);
        if (asked is not null && Directory.Exists(asked) && Directory.EnumerateFileSystemEntries(asked).Any())
            throw new UserErrorException($"--out {asked} is not empty; a quickstart overwrites nothing. Give a new folder or delete this one.", ExitCode.Usage);
        var root = asked ?? FirstFree(Path.Combine("runs", "quickstart"));
        var folder = new QuickstartFolder(Path.GetFullPath(root));
        foreach (var part in new[] { folder.Data, folder.Base, folder.Runs })
            Directory.CreateDirectory(part);
        return folder;
    }

    /// <summary>Writes the data files, the tokenizer and the model's shape.</summary>
    public void WriteData(QuickstartSeed seed, QuickstartOptions options)
    {
        new QuickstartFiles(seed, options.Seed).Write(Data, StageRecipe.Sizes(options));
        var tokenizer = QuickstartTokenizer.Build(seed);
        tokenizer.Write(Base);
        StageRecipe.WriteModelShape(Base, tokenizer.Vocabulary.Count);
    }

    private static string FirstFree(string wanted)
    {
        var candidate = wanted;
        for (var number = 2; Directory.Exists(candidate); number++)
            candidate = $"{wanted}-{number}";
        return candidate;
    }
}
