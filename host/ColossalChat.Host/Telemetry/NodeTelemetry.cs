using System.Net.Sockets;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Runs;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace ColossalChat.Host.Telemetry;

/// <summary>
/// Sends what a run tells about itself to where section <c>telemetry</c> says, until it is disposed. Nothing listens, and
/// nothing is paid, for what that section leaves off.
/// </summary>
internal sealed class NodeTelemetry : IAsyncDisposable
{
    private readonly List<IDisposable> _providers = [];
    private MetricsEndpoint? _endpoint;

    private NodeTelemetry()
    {
    }

    /// <summary>Starts what the settings ask for. What cannot be started is told and left out: a run does not end for it.</summary>
    /// <param name="settings">Section <c>telemetry</c>.</param>
    /// <param name="run">The run and its folder.</param>
    /// <param name="node">Name of this node among several that share the run folder; empty when it is the only one.</param>
    /// <param name="log">Takes warnings.</param>
    public static async Task<NodeTelemetry> StartAsync(TelemetrySettings settings, RunFolder run, string node, INodeLog log)
    {
        var telemetry = new NodeTelemetry();
        var resource = ResourceBuilder.CreateEmpty()
            .AddService("colossalchat", serviceVersion: EnvironmentReport.ProgramVersion, serviceInstanceId: node.Length > 0 ? node : Environment.MachineName)
            .AddAttributes([new("run", run.Identity)]);
        if (settings.Otlp.Length > 0 || settings.TraceFile)
            telemetry._providers.Add(Traces(settings, run, node, log, resource));
        if (settings.Otlp.Length > 0)
            telemetry._providers.Add(Metrics(resource).AddOtlpExporter(options => Address(options, settings, "v1/metrics")).Build());
        if (settings.PrometheusPort > 0)
            await telemetry.OpenEndpointAsync(settings, Metrics(resource), log).ConfigureAwait(false);
        return telemetry;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_endpoint is not null)
            await _endpoint.DisposeAsync().ConfigureAwait(false);
        foreach (var provider in _providers)
            provider.Dispose();
    }

    private async Task OpenEndpointAsync(TelemetrySettings settings, MeterProviderBuilder meters, INodeLog log)
    {
        try
        {
            _endpoint = await MetricsEndpoint.StartAsync(meters, settings.PrometheusHost, settings.PrometheusPort).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            log.Warning($"There is no metrics endpoint on {settings.PrometheusHost}:{settings.PrometheusPort}: {error.Message.TrimEnd('.')}. "
                + "Every node of a machine needs a port of its own: set telemetry.prometheus-port, or COLOSSALCHAT_TELEMETRY__PROMETHEUS_PORT for one node.");
        }
    }

    // By the trace's id alone, so that every node takes the same batches.
    private static TracerProvider Traces(TelemetrySettings settings, RunFolder run, string node, INodeLog log, ResourceBuilder resource)
    {
        var builder = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(resource)
            .AddSource(RunTelemetry.Name)
            .SetSampler(new TraceIdRatioBasedSampler(settings.Traces));
        if (settings.TraceFile)
            builder.AddProcessor(new BatchActivityExportProcessor(new TraceFile(run.Traces(node), log), scheduledDelayMilliseconds: 1000));
        if (settings.Otlp.Length > 0)
            builder.AddOtlpExporter(options => Address(options, settings, "v1/traces"));
        return builder.Build();
    }

    private static MeterProviderBuilder Metrics(ResourceBuilder resource) =>
        Sdk.CreateMeterProviderBuilder().SetResourceBuilder(resource).AddMeter(RunTelemetry.Name);

    private static void Address(OtlpExporterOptions options, TelemetrySettings settings, string path)
    {
        var isHttp = settings.OtlpProtocol == OtlpProtocol.Http;
        options.Protocol = isHttp ? OtlpExportProtocol.HttpProtobuf : OtlpExportProtocol.Grpc;
        options.Endpoint = isHttp ? new Uri($"{settings.Otlp.TrimEnd('/')}/{path}") : new Uri(settings.Otlp);
    }
}
