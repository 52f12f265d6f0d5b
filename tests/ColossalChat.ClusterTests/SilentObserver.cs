namespace ColossalChat.Cluster.Tests;

/// <summary>For runs of which nothing is looked at but what their actors say.</summary>
internal sealed class SilentObserver : IRunObserver
{
    public void Started(long firstIteration, long iterations)
    {
        // Nobody looks.
    }

    public void Reported(IterationReport report)
    {
        // Nobody looks.
    }

    public void Noted(string kind, string message)
    {
        // Nobody looks.
    }
}
