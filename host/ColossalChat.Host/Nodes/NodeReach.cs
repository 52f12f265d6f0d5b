using System.Net.Sockets;
using Akka.Actor;
using ColossalChat.Host.Commands;
using ColossalChat.Transfer;

namespace ColossalChat.Host.Nodes;

/// <summary>Calls nodes that are up, from this machine, as their peers would.</summary>
/// <param name="identity">Shows a certificate and judges theirs; null without TLS.</param>
internal sealed class NodeReach(TlsIdentity? identity)
{
    private static readonly TimeSpan s_call = TimeSpan.FromSeconds(3);

    /// <summary>Calls Akka and the lane of each, all at the same time.</summary>
    public async Task<IReadOnlyList<Finding>> LookAsync(IReadOnlyList<NodeRecord> nodes, CancellationToken cancel)
    {
        if (nodes.Count == 0)
            return [];
        var problems = await Task.WhenAll(nodes.SelectMany(node => PortsOf(node).Select(port => WhyNotAsync(node.Card.Name, port, cancel)))).ConfigureAwait(false);
        Finding[] bad = [.. problems.OfType<string>().Select(problem => new Finding("reach", false, problem))];
        return bad.Length > 0 ? bad : [new Finding("reach", true,
            $"Akka and the lane of {nodes.Count} nodes answer this machine{(identity is null ? "" : " with certificates that we trust")}: {string.Join(", ", nodes.Select(node => node.Card.Name))}. Whether they reach each other, `doctor` on each of them tells")];
    }

    private static IEnumerable<(string What, string Host, int Port)> PortsOf(NodeRecord node)
    {
        var address = Address.Parse(node.Address);
        yield return ("Akka", address.Host ?? "", address.Port ?? 0);
        yield return ("the lane", node.LaneHost, node.LanePort);
    }

    private async Task<string?> WhyNotAsync(string node, (string What, string Host, int Port) port, CancellationToken cancel)
    {
        var where = $"{port.What} of {node} at {port.Host}:{port.Port}";
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(s_call);
        try
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(port.Host, port.Port, limit.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (error is SocketException or ArgumentException || (error is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            return $"{where} cannot be reached from here: {(error is OperationCanceledException ? $"no answer within {s_call.TotalSeconds:0} s" : error.Message.TrimEnd('.'))}. Open the port between the machines, or set a name or address by which others reach the node.";
        }

        return identity is null || await Task.Run(() => identity.Meets(port.Host, port.Port, s_call), cancel).ConfigureAwait(false)
            ? null
            : $"{where} answers, and TLS with it fails: one of the two refuses the other's certificate. Its log says who and why.";
    }
}
