using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;

namespace ColossalChat.Host.Commands;

/// <summary>
/// Measures the lane between real processes, beside a plain socket loop in the same turn. A verb of the host and not of a
/// plugin, because it pretends that processes are on other machines, counts what they send and encrypts: settings of the
/// lane that no plugin has any business with.
/// </summary>
internal sealed class TransportBenchCommand : CliCommand<TransportBenchOptions>
{
    private const int Outstanding = 2;

    public override string Path => "bench transport";

    public override string Summary => "Blocks between processes: sockets, TLS and shared memory against a plain socket, many readers, round trips meanwhile";

    protected override Task<ExitCode> RunAsync(TransportBenchOptions options, CliContext context, CancellationToken cancel)
    {
        var problems = options.Problems().ToArray();
        if (problems.Length > 0)
            throw new UserErrorException(string.Join(' ', problems), ExitCode.Usage);
        if (options.ChildOf is not null)
            TransportReader.Run(options, context.Node.Log, cancel);
        else
            Write(context, Measure(options, context, cancel), options.Json);
        return Task.FromResult(ExitCode.Ok);
    }

    private static JsonObject Measure(TransportBenchOptions options, CliContext context, CancellationToken cancel)
    {
        var folder = Directory.CreateTempSubdirectory("colossalchat-transport-").FullName;
        try
        {
            TransportLanes.MakeCertificate(folder);
            using var lanes = new TransportLanes(folder, 0, context.Node.Log);
            using var team = TransportTeam.Start(options.Readers, folder, cancel);
            var report = MeasureBlocks(options, lanes, team, context, cancel);
            foreach (var (key, value) in MeasurePublication(options, lanes, team, context, cancel).ToArray())
                report[key] = value?.DeepClone();
            report["processors"] = Environment.ProcessorCount;
            return report;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // Two processes: this one and the first reader.
    private static JsonObject MeasureBlocks(TransportBenchOptions options, TransportLanes lanes, TransportTeam team, CliContext context, CancellationToken cancel)
    {
        var content = Content(options.BlockBytes);
        TransportWay[] ways = [TransportWay.Sockets, TransportWay.Shared, TransportWay.Encrypted];
        var (plain, tuned) = (new List<double>(), new List<double>());
        var ratios = ways.ToDictionary(way => way, _ => new List<double>());
        // The first turn warms up.
        for (var turn = 0; turn <= options.Turns; turn++)
        {
            cancel.ThrowIfCancellationRequested();
            context.Error.WriteLine(turn == 0 ? "warm-up ..." : $"blocks of {options.BlockBytes} bytes, turn {turn} of {options.Turns} ...");
            var seconds = SendPlain(options, team.Lines[0], content, isTuned: false);
            var tunedSeconds = SendPlain(options, team.Lines[0], content, isTuned: true);
            var others = ways.Select(way => SendBlocks(options, lanes, way, team.Lines[0], content)).ToArray();
            if (turn == 0)
                continue;
            plain.Add(seconds);
            tuned.Add(tunedSeconds);
            foreach (var (way, other) in ways.Zip(others))
                ratios[way].Add(seconds / other);
        }

        return new JsonObject
        {
            ["socket_mb_s"] = Round((double)options.BlockBytes * options.Blocks / Median(plain) * 1e-6),
            ["tuned_socket_mb_s"] = Round((double)options.BlockBytes * options.Blocks / Median(tuned) * 1e-6),
            ["transfer_ratio"] = Round(Median(ratios[TransportWay.Sockets])),
            ["shared_memory_ratio"] = Round(Median(ratios[TransportWay.Shared])),
            ["tls_ratio"] = Round(Median(ratios[TransportWay.Encrypted])),
            ["block_bytes"] = options.BlockBytes,
            ["blocks"] = options.Blocks,
            ["turns"] = options.Turns,
        };
    }

    // What anybody would write: whole blocks into a socket, and out of it. A tuned one has the congestion control that the lane
    // chooses within a machine; it is shown, and what is asked is asked of the plain one.
    private static double SendPlain(TransportBenchOptions options, TransportLines reader, byte[] content, bool isTuned)
    {
        using var listener = TransportLines.Listen();
        reader.Send(new TransportOrder(TransportTask.Prepare, default, 0, options.BlockBytes, 0, null));
        reader.Receive<bool>();
        reader.Send(new TransportOrder(TransportTask.Plain, default, isTuned ? -options.Blocks : options.Blocks, options.BlockBytes, TransportLines.PortOf(listener), null));
        using var socket = listener.Accept();
        if (isTuned)
            TransportLines.Unpaced(socket);
        var start = Stopwatch.GetTimestamp();
        for (var block = 0; block < options.Blocks; block++)
            for (var done = 0; done < content.Length;)
                done += socket.Send(content, done, content.Length - done, SocketFlags.None);
        reader.Receive<bool>();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    // As a sender of batches does: the next is published while the one before is fetched.
    private static double SendBlocks(TransportBenchOptions options, TransportLanes lanes, TransportWay way, TransportLines reader, byte[] content)
    {
        var lane = lanes[way];
        var underway = new Queue<BlobReference>();
        void Finish()
        {
            reader.Receive<bool>();
            lane.Withdraw(underway.Dequeue());
        }

        var start = Stopwatch.GetTimestamp();
        for (var block = 0; block < options.Blocks; block++)
        {
            // Another content each time, or it would be the same publication.
            content[0] = (byte)block;
            var blob = lane.Publish($"block {block}", content);
            underway.Enqueue(blob);
            reader.Send(new TransportOrder(TransportTask.Fetch, way, 1, content.Length, 0, blob));
            if (underway.Count == Outstanding)
                Finish();
        }

        while (underway.Count > 0)
            Finish();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static JsonObject MeasurePublication(TransportBenchOptions options, TransportLanes lanes, TransportTeam team, CliContext context, CancellationToken cancel)
    {
        var content = Content(options.PublicationBytes);
        foreach (var reader in team.Lines)
        {
            reader.Send(new TransportOrder(TransportTask.Prepare, default, 0, content.Length, 0, null));
            reader.Receive<bool>();
        }

        var (ratios, copies, trips) = (new List<double>(), new List<double>(), new List<double>());
        // Once before, so that no turn pays for memory that the system has not found yet.
        Publish(lanes, TransportWay.Shared, team.Lines, content);
        for (var turn = 1; turn <= options.PublicationTurns; turn++)
        {
            cancel.ThrowIfCancellationRequested();
            context.Error.WriteLine($"publication of {content.Length} bytes, turn {turn} of {options.PublicationTurns} ...");
            var (one, _) = Publish(lanes, TransportWay.Shared, team.Lines[..1], content);
            var pings = team.Echoes.Select(echo => new TransportPings(echo)).ToArray();
            var (all, _) = Publish(lanes, TransportWay.Shared, team.Lines, content);
            var (_, sent) = Publish(lanes, TransportWay.Sockets, team.Lines, content);
            trips.AddRange(pings.SelectMany(each => each.Stop()));
            ratios.Add(all / one);
            copies.Add((double)sent / content.Length);
        }

        trips.Sort();
        return new JsonObject
        {
            ["fanout_ratio"] = Round(Median(ratios)),
            ["publisher_copies"] = Round(copies.Max()),
            ["control_p99_ms"] = Round(trips[(int)(0.99 * (trips.Count - 1))]),
            ["control_trips"] = trips.Count,
            ["publication_bytes"] = content.Length,
            ["readers"] = team.Lines.Count,
        };
    }

    private static (double Seconds, long Sent) Publish(TransportLanes lanes, TransportWay way, IReadOnlyList<TransportLines> readers, byte[] content)
    {
        content[0]++;
        var start = Stopwatch.GetTimestamp();
        var blob = lanes[way].Publish("weights", content);
        foreach (var reader in readers)
            reader.Send(new TransportOrder(TransportTask.Fetch, way, 1, content.Length, 0, blob));
        foreach (var reader in readers)
            reader.Receive<bool>();
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var sent = lanes[way].CountersOf(blob).Sent;
        lanes[way].Withdraw(blob);
        return (seconds, sent);
    }

    private static byte[] Content(int bytes)
    {
        var content = GC.AllocateUninitializedArray<byte>(bytes);
        for (var i = 0; i < bytes; i++)
            content[i] = (byte)(i * 31);
        return content;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static double? Round(double value) => double.IsFinite(value) ? Math.Round(value, 3) : null;

    private static void Write(CliContext context, JsonObject report, bool json)
    {
        if (json)
        {
            context.Out.WriteLine(report.ToJsonString());
            return;
        }

        foreach (var (name, value) in report)
            context.Out.WriteLine($"{name.Replace('_', ' '),-24} {value?.ToJsonString() ?? "null"}");
    }
}
