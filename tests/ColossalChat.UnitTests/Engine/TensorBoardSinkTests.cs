using System.Text;
using ColossalChat.Engine;
using Xunit;

namespace ColossalChat.UnitTests.Engine;

[Trait("Category", "CI")]
public sealed class TensorBoardSinkTests
{
    [Fact]
    public void It_writes_event_files_below_the_run_folder()
    {
        var folder = Directory.CreateTempSubdirectory("tensorboard-test");
        try
        {
            using (var sink = new TensorBoardSinkFactory().Open(folder.FullName))
                sink.Write(3, new Dictionary<string, double> { ["train/loss"] = 1.5, ["odd"] = double.NaN });
            var file = Assert.Single(folder.GetFiles("*tfevents*", SearchOption.AllDirectories));
            Assert.Contains("train/loss", Encoding.Latin1.GetString(File.ReadAllBytes(file.FullName)), StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(true);
        }
    }
}
