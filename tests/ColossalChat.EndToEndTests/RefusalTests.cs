using System.Diagnostics;

namespace ColossalChat.EndToEndTests;

/// <summary>The program refuses each broken plugin by name and reason, and lives on with the good one beside it.</summary>
[Trait("Category", "Full")]
public sealed class RefusalTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    // Broken projects of tests/plugins and the reason that the program gives.
    private static readonly (string Project, string Reason)[] Broken =
    [
        ("NewerMajor", "contract-version"),
        ("NewerMinor", "contract-version"),
        ("ContractInside", "contract-assembly"),
        ("NoEntry", "no-plugin-class"),
        ("TwoEntries", "several-plugin-classes"),
        ("ThrowsWhileRegistering", "registration-failed"),
        ("OptionsThatThrow", "options-constructor"),
        ("OptionsWithoutConstructor", "options-constructor"),
        ("BadName", "bad-registration"),
        ("ForeignSeam", "bad-registration"),
        ("SameFactory", "duplicate-factory"),
    ];

    [DataFact]
    public void Each_broken_plugin_is_refused_with_its_reason()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("refusals");
        Build();
        var shown = Broken.Count(one =>
        {
            // Two plugins in the folder: of two with one name the second is refused, and the line names the first.
            var result = HostProcess.Run(Limit, "plugin", "verify", Folder(root, one.Project, "SampleReward", one.Project));
            var lines = result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            return result.ExitCode == 3 && lines.Count(line => line.StartsWith("ok ", StringComparison.Ordinal)) == 1
                && lines.Single(line => line.StartsWith("refused ", StringComparison.Ordinal)) is var line
                && line.Contains(one.Project, StringComparison.Ordinal) && line.Contains($"({one.Reason})", StringComparison.Ordinal);
        });
        figures.Check("Broken plugin projects", "each refused by its reason, the good one beside it loaded", $"{shown} of {Broken.Length}", shown == Broken.Length);

        var good = Folder(root, "good", "SampleReward");
        Folder(Folder(root, "twice", "SampleReward"), "more", "SampleReward");
        var twice = HostProcess.Run(Limit, "plugin", "verify", Path.Combine(root, "twice"), "--plugins", Path.Combine(root, "twice", "more"));
        var pinned = DryRun(root, $"plugins.folder={good}", $"plugins.pins.SampleReward={new string('0', 64)}", "roles.reward.use=sample-reward");
        var misspelt = DryRun(root, $"plugins.folder={good}", "roles.reward={ use = sample-reward, scroe = 1 }");
        bool[] others =
        [
            pinned.ExitCode == 3 && pinned.Error.Contains("pin-mismatch", StringComparison.Ordinal),
            twice.ExitCode == 3 && twice.Output.Contains("(duplicate-plugin)", StringComparison.Ordinal),
            misspelt.ExitCode == 3 && misspelt.Error.Contains("unknown key 'scroe'. Did you mean 'score'?", StringComparison.Ordinal),
            DryRun(root, $"plugins.folder={good}", "roles.reward={ use = sample-reward, score = 1 }").ExitCode == 0,
        ];
        figures.Check("Pin mismatch, duplicate plugin, unknown option", "each refused, the option with the nearest name; the right one taken", $"{others.Count(holds => holds)} of {others.Length}", others.All(holds => holds));
    }

    private static HostResult DryRun(string root, params string[] settings) =>
        HostProcess.Run(Limit, [.. TrainingRun.Arguments(root, "dry", "ppo", "story-ppo.hocon", StoryPpo.Settings(root, settings)), "--dry-run"]);

    // A folder of plugins that holds the outputs of some projects.
    private static string Folder(string root, string name, params string[] projects)
    {
        var folder = Path.Combine(root, name);
        foreach (var project in projects)
        {
            var target = Directory.CreateDirectory(Path.Combine(folder, project)).FullName;
            foreach (var file in Directory.EnumerateFiles(Path.Combine(Repository.Root, "tests", "plugins", project, "bin", "Release", "net10.0")))
                File.Copy(file, Path.Combine(target, Path.GetFileName(file)), overwrite: true);
        }

        return folder;
    }

    private static void Build()
    {
        var start = new ProcessStartInfo("dotnet", ["build", "-c", "Release", Path.Combine(Repository.Root, "tests", "plugins", "Plugins.proj"), "-v", "quiet", "-nologo"]) { RedirectStandardOutput = true };
        start.Environment["COLOSSALCHAT_HOME"] = HostProcess.Home;
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        using var process = Process.Start(start)!;
        var printed = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, printed);
    }
}
