using ColossalChat.Contracts;

namespace ColossalChat.Host.Config;

/// <summary>Section <c>telemetry</c>: what a node tells collectors about a run. All of it is off by default.</summary>
public sealed record TelemetrySettings : ICheckedOptions
{
    /// <summary>Port on which a Prometheus server may fetch <c>/metrics</c>; 0 is off. 0 to 65535; default 0.</summary>
    public int PrometheusPort { get; init; }

    /// <summary>Address that the port is opened on; <c>0.0.0.0</c> for all. Whoever reaches it reads the metrics. Default 127.0.0.1.</summary>
    public string PrometheusHost { get; init; } = "127.0.0.1";

    /// <summary>OpenTelemetry collector that gets traces and metrics, such as <c>"http://collector:4317"</c>; empty is off. Default empty.</summary>
    public string Otlp { get; init; } = "";

    /// <summary>How the collector is spoken to: <c>grpc</c> (port 4317 by custom) or <c>http</c> (4318). Default grpc.</summary>
    public OtlpProtocol OtlpProtocol { get; init; } = OtlpProtocol.Grpc;

    /// <summary>Share of the batches that are traced, the same ones on all nodes. 0 to 1; default 1.</summary>
    public double Traces { get; init; } = 1;

    /// <summary>Whether spans go to <c>traces.jsonl</c> in the run folder too, one a line. Default off.</summary>
    public bool TraceFile { get; init; }

    /// <summary>Whether log lines go to <c>log.jsonl</c> in the run folder too, with time, level, node, batch and role apart. Default off.</summary>
    public bool JsonLog { get; init; }

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (PrometheusPort is < 0 or > 65535)
            yield return $"prometheus-port is {PrometheusPort}; it must be from 0 (off) to 65535.";
        if (Uri.CheckHostName(PrometheusHost) == UriHostNameType.Unknown)
            yield return $"prometheus-host is '{PrometheusHost}'; it must be an address or a host name, such as 127.0.0.1 or 0.0.0.0.";
        if (Otlp.Length > 0 && !(Uri.TryCreate(Otlp, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"))
            yield return $"otlp is '{Otlp}'; it must be a URL, such as \"http://collector:4317\", or empty.";
        if (Traces is not (>= 0 and <= 1))
            yield return $"traces is {Traces}; it must be from 0 (none) to 1 (all batches).";
    }
}

/// <summary>How an OpenTelemetry collector is spoken to.</summary>
public enum OtlpProtocol
{
    /// <summary>OTLP over gRPC.</summary>
    Grpc,

    /// <summary>OTLP over HTTP in protobuf; <c>/v1/traces</c> and <c>/v1/metrics</c> are added to the URL.</summary>
    Http,
}
