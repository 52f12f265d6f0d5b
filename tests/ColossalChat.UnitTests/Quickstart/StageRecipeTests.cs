using ColossalChat.Contracts;
using ColossalChat.Quickstart;
using Xunit;

namespace ColossalChat.UnitTests.Quickstart;

[Trait("Category", "CI")]
public sealed class StageRecipeTests : IDisposable
{
    private readonly string _run = Directory.CreateTempSubdirectory("colossalchat quickstart-").FullName;

    public void Dispose() => Directory.Delete(_run, recursive: true);

    [Fact]
    public void A_stage_that_was_stopped_after_a_checkpoint_says_how_it_goes_on()
    {
        var outcome = new StageOutcome(ExitCode.Interrupted, _run, new Dictionary<string, string>(), new Dictionary<string, double>());
        Assert.Null(StageRecipe.ResumeCommand("sft", outcome));
        Assert.Null(StageRecipe.ResumeCommand("sft", outcome with { RunFolder = "" }));

        Directory.CreateDirectory(Path.Combine(_run, "checkpoints", "step-00000003"));

        Assert.Equal($"colossalchat train sft '{Path.Combine(_run, "config.effective.hocon")}' --resume '{_run}'", StageRecipe.ResumeCommand("sft", outcome));
    }
}
