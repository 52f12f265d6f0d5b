using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using OpenTelemetry.Metrics;

namespace ColossalChat.Host.Telemetry;

/// <summary>The page <c>/metrics</c> for a Prometheus server.</summary>
internal sealed class MetricsEndpoint : IAsyncDisposable
{
    private readonly MeterProvider _meters;
    private readonly WebApplication _server;

    private MetricsEndpoint(MeterProvider meters, WebApplication server) => (_meters, _server) = (meters, server);

    /// <summary>Opens it.</summary>
    /// <param name="meters">What is measured; the endpoint owns what comes of it.</param>
    /// <param name="host">Address, or a host name, which is looked up.</param>
    /// <param name="port">1 to 65535.</param>
    /// <exception cref="IOException">The port is taken.</exception>
    /// <exception cref="System.Net.Sockets.SocketException">There is no such host, or the address is not this machine's.</exception>
    public static async Task<MetricsEndpoint> StartAsync(MeterProviderBuilder meters, string host, int port)
    {
        var address = IPAddress.TryParse(host, out var known) ? known : (await Dns.GetHostAddressesAsync(host).ConfigureAwait(false))[0];
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options => options.Listen(address, port));
        var server = builder.Build();
        var provider = meters.AddPrometheusExporter().Build();
        server.UseOpenTelemetryPrometheusScrapingEndpoint(provider, null, "/metrics", null, null);
        var endpoint = new MetricsEndpoint(provider, server);
        try
        {
            await server.StartAsync().ConfigureAwait(false);
            return endpoint;
        }
        catch
        {
            await endpoint.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        // At once: a server that keeps its connection open must not hold up the end of a run.
        using var now = new CancellationTokenSource();
        await now.CancelAsync().ConfigureAwait(false);
        await _server.StopAsync(now.Token).ConfigureAwait(false);
        await _server.DisposeAsync().ConfigureAwait(false);
        _meters.Dispose();
    }
}
