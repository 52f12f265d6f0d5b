using ColossalChat.Contracts;
using TorchSharp;
using TorchSharp.Modules;

namespace ColossalChat.Engine;

/// <summary>Writes a run's numbers as TensorBoard event files into <c>tensorboard/</c> of the run folder.</summary>
public sealed class TensorBoardSinkFactory : IMetricSinkFactory
{
    /// <inheritdoc/>
    public IMetricSink Open(string runFolder)
    {
        var folder = Path.Combine(runFolder, "tensorboard");
        Directory.CreateDirectory(folder);
        return new Sink(torch.utils.tensorboard.SummaryWriter(folder, createRunName: false));
    }

    private sealed class Sink(SummaryWriter writer) : IMetricSink
    {
        public void Write(long iteration, IReadOnlyDictionary<string, double> metrics)
        {
            foreach (var (name, value) in metrics)
                writer.add_scalar(name, (float)value, (int)iteration);
        }

        public void Dispose()
        {
            // TorchSharp's writer holds no file open between calls.
        }
    }
}
