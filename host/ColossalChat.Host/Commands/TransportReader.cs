using System.Net.Sockets;
using ColossalChat.Contracts;

namespace ColossalChat.Host.Commands;

/// <summary>A process of the benchmark that receives what it is told to, and answers small messages meanwhile.</summary>
internal static class TransportReader
{
    public static void Run(TransportBenchOptions options, INodeLog log, CancellationToken cancel)
    {
        var port = options.ChildOf!.Value;
        using var lanes = new TransportLanes(options.ChildFolder, options.ChildNumber, log);
        using var lines = new TransportLines(TransportLines.Call(port));
        lines.Send(options.ChildNumber);
        using var echo = TransportLines.Call(port);
        var echoing = new Thread(() => Echo(echo)) { IsBackground = true, Name = "bench echo" };
        echoing.Start();
        var memory = Array.Empty<byte>();
        while (lines.TryReceive<TransportOrder>() is { } order)
        {
            cancel.ThrowIfCancellationRequested();
            if (memory.Length < order.Bytes)
            {
                // Touched once, so that no side pays for the pages.
                memory = GC.AllocateUninitializedArray<byte>(order.Bytes);
                Array.Fill<byte>(memory, 1);
            }

            if (order.Task == TransportTask.Plain)
                ReceivePlain(order, memory);
            else if (order.Task == TransportTask.Fetch)
                lanes[order.Way].Fetch(order.Blob!, memory.AsSpan(0, order.Bytes), cancel);
            lines.Send(true);
        }
    }

    private static void ReceivePlain(TransportOrder order, byte[] memory)
    {
        using var socket = TransportLines.Call(order.Port);
        if (order.Count < 0)
            TransportLines.Unpaced(socket);
        for (var block = 0; block < Math.Abs(order.Count); block++)
        {
            for (var done = 0; done < order.Bytes;)
            {
                var count = socket.Receive(memory, done, order.Bytes - done, SocketFlags.None);
                if (count == 0)
                    throw new IOException("The plain socket of the benchmark was closed.");
                done += count;
            }
        }
    }

    private static void Echo(Socket socket)
    {
        var message = new byte[TransportPings.Bytes];
        try
        {
            for (int count; (count = socket.Receive(message)) > 0;)
                socket.Send(message, count, SocketFlags.None);
        }
        catch (SocketException)
        {
            // The measuring process has ended; the lines say so too.
            return;
        }
    }
}
