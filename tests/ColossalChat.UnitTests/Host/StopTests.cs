using ColossalChat.Contracts;
using ColossalChat.Host.Cli;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class StopTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("colossalchat-stop-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task A_stop_before_a_run_begins_leaves_no_run_folder()
    {
        var error = new StringWriter();
        var host = new HostServices(ShippedPlugins.Catalog, new HostConsole(error, isTerminal: false), IsVerbose: false);
        var config = MemoryFiles.Load("colossalchat { stage { use = sft }, models { policy { path = p } }, roles { batches { files = [a.jsonl] } } }", [$"run.folder={_root}"]);

        var stopped = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new StageRunner(host).RunAsync(new RunRequest(config), TextWriter.Null, new CancellationToken(canceled: true)));

        Assert.Equal(ExitCode.Interrupted, HostProgram.Explain(stopped, isVerbose: false, error));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_root));
    }

    [Fact]
    public void Progress_that_nobody_can_read_any_more_is_no_failure()
    {
        using var writer = new ForgivingWriter(new GoneTerminal());
        var console = new HostConsole(writer, isTerminal: false);

        console.Line("iteration 3/9");
        writer.Write('x');
        writer.Flush();
    }

    [Theory]
    [InlineData("train ppo a.hocon", "train", "ppo", "a.hocon")]
    [InlineData("'a b' '$x' ''", "a b", "$x", "")]
    [InlineData(@"'it'\''s'", "it's")]
    public void Words_are_written_as_a_shell_reads_them(string expected, params string[] words) => Assert.Equal(expected, ShellWords.Join(words));

    private sealed class GoneTerminal : TextWriter
    {
        public override System.Text.Encoding Encoding => System.Text.Encoding.UTF8;

        public override void Write(char value) => throw new IOException("Input/output error");

        public override void Flush() => throw new IOException("Input/output error");
    }
}
