using static TorchSharp.torch;

namespace ColossalChat.Engine;

/// <summary>Limits the threads of tensor operations on the calling thread until it is disposed.</summary>
internal sealed class ThreadShare : IDisposable
{
    private readonly int _before;

    /// <summary>Sets the limit.</summary>
    /// <param name="threads">Threads; 0 changes nothing.</param>
    public ThreadShare(int threads)
    {
        if (threads == 0)
            return;
        _before = get_num_threads();
        set_num_threads(threads);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_before > 0)
            set_num_threads(_before);
    }
}
