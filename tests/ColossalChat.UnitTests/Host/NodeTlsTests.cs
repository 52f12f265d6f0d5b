using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using Akka.Remote.Transport.DotNetty;
using ColossalChat.Cluster;
using ColossalChat.Host.Nodes;
using ColossalChat.Tests;
using ColossalChat.Transfer;
using ColossalChat.UnitTests.Transfer;
using Xunit;
using AkkaCluster = Akka.Cluster.Cluster;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class NodeTlsTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);
    private readonly TlsFiles _files = new();
    private readonly LogLines _log = new();
    private readonly List<ActorSystem> _systems = [];
    private readonly List<TlsIdentity> _identities = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await Task.WhenAll(_systems.Select(system => system.Terminate()));
        _identities.ForEach(identity => identity.Dispose());
    }

    public void Dispose() => _files.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Nodes_with_certificates_of_our_authority_meet(bool isPfx)
    {
        var first = await LeaderAsync();
        var second = Start(_files.Node("second", password: "secret", isPfx: isPfx));

        await AkkaCluster.Get(second).JoinAsync(AkkaCluster.Get(first).SelfAddress).WaitAsync(s_limit);

        Assert.Equal("akka.ssl.tcp", AkkaCluster.Get(second).SelfAddress.Protocol);
        Assert.Equal(2, AkkaCluster.Get(second).State.Members.Count);
        Assert.DoesNotContain(_log.Lines, line => line.Contains("refused", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("foreign", "does not come from one of our authorities")]
    [InlineData("expired", "CN=late expired on")]
    public async Task A_node_with_another_certificate_does_not_get_in_and_the_log_says_why(string kind, string why)
    {
        using var strangers = new TlsFiles();
        var first = await LeaderAsync();
        var files = kind == "foreign" ? strangers.Node("stranger") : _files.Node("late", -1.5, -0.5);
        using var certificate = X509Certificate2.CreateFromPemFile(files.CertificateFile, files.KeyFile);

        // It believes whatever it is shown; what counts is that the first does not believe it.
        var stranger = Start(NodeNetwork.SystemSetup(MemoryFiles.Load(""), ["coordinator"], null, new LogLines())
            .And(BootstrapSetup.Create().WithConfig(ConfigurationFactory.ParseString(NodeTls.Hocon + "\nakka.stdout-loglevel = OFF\nakka.loglevel = OFF").WithFallback(ConfigurationFactory.ParseString(NodeHocon.Settings)).WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers))))
            .And(new DotNettySslSetup(certificate, suppressValidation: true, requireMutualAuthentication: true)));
        AkkaCluster.Get(stranger).JoinSeedNodes([AkkaCluster.Get(first).SelfAddress]);

        _log.Await($"was refused: CN={(kind == "foreign" ? "stranger" : "late")}");
        _log.Await(why);
        Assert.Equal(AkkaCluster.Get(first).SelfAddress, Assert.Single(AkkaCluster.Get(first).State.Members).Address);
    }

    [Fact]
    public async Task A_node_that_is_not_named_does_not_get_in_although_the_authority_has_signed_it()
    {
        var first = Start(_files.Node("first") with { Names = ["first", "second"] });
        await AkkaCluster.Get(first).JoinAsync(AkkaCluster.Get(first).SelfAddress).WaitAsync(s_limit);
        var printer = Start(_files.Node("printer"));

        AkkaCluster.Get(printer).JoinSeedNodes([AkkaCluster.Get(first).SelfAddress]);

        _log.Await("is none of the names that are let in: first, second");
        Assert.Single(AkkaCluster.Get(first).State.Members);
    }

    [Theory]
    [InlineData(true, "did not provide a certificate")]
    [InlineData(false, "TLS handshake failed")]
    public async Task Whoever_shows_no_certificate_or_speaks_no_TLS_is_hung_up_on(bool speaksTls, string why)
    {
        var first = await LeaderAsync();
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync("127.0.0.1", AkkaCluster.Get(first).SelfAddress.Port!.Value);
        await using var stream = new SslStream(new NetworkStream(socket), false, (_, shown, _, _) => shown is not null);
        var answer = 0;
        try
        {
            if (speaksTls)
            {
                await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "x" }).WaitAsync(s_limit);
                answer = await stream.ReadAsync(new byte[100]).AsTask().WaitAsync(s_limit);
            }
            else
            {
                await socket.SendAsync("GET / HTTP/1.1\r\n\r\n and some more, so that a record is complete"u8.ToArray());
                answer = await socket.ReceiveAsync(new byte[100]).WaitAsync(s_limit) > 7 ? 1 : 0; // An alert has seven bytes.
            }
        }
        catch (Exception error) when (error is IOException or AuthenticationException or SocketException)
        {
            answer = 0;
        }

        Assert.Equal(0, answer);
        _log.Await(why);
        Assert.Single(AkkaCluster.Get(first).State.Members);
    }

    [Fact]
    public void Switching_TLS_on_is_one_section_and_seeds_follow()
    {
        string[] seeds = ["akka.cluster.seed-nodes=[\"akka.tcp://story@node0:4053\"]", "akka.remote.dot-netty.tcp.hostname=0.0.0.0", "akka.remote.dot-netty.tcp.public-hostname=node1"];
        string[] known = ["akka.tcp://story@node2:1", "akka.ssl.tcp://story@node3:1"];
        var plain = NodeNetwork.Of(TestRun.Bind("runs", seeds));
        var secured = TestRun.Bind("runs", [.. seeds, "cluster.tls.certificate=a.pem", "cluster.tls.authorities=b.pem"]);
        var encrypted = NodeNetwork.Of(secured);

        Assert.Equal(["akka.tcp://story@node0:4053", "akka.tcp://story@node2:1", "akka.tcp://story@node3:1"], plain.SeedsFor("akka.tcp://story@node1:9", known));
        Assert.Equal(["akka.ssl.tcp://story@node0:4053", "akka.ssl.tcp://story@node2:1", "akka.ssl.tcp://story@node3:1"], encrypted.SeedsFor("akka.ssl.tcp://story@node1:9", known));
        Assert.Equal(("0.0.0.0", "node1"), (encrypted.ListenOn, encrypted.Host));
        var lane = NodeTls.LaneOf(secured.Settings.Cluster, encrypted, "");
        Assert.Equal(("0.0.0.0", "node1", "a.pem", "b.pem"), (lane.Host, lane.AdvertisedHost, lane.Tls!.CertificateFile, lane.Tls.AuthoritiesFile));
    }

    [Fact]
    public async Task Addresses_at_which_none_of_us_answers_are_not_called()
    {
        using var strangers = new TlsFiles();
        var (first, second) = (await LeaderAsync(), Start(_files.Node("second")));
        var stranger = Start(strangers.Node("stranger"));
        using var other = new TcpListener(System.Net.IPAddress.Loopback, 0);
        other.Start();
        var mute = ((System.Net.IPEndPoint)other.LocalEndpoint).Port;
        other.Stop();
        string Of(ActorSystem system) => AkkaCluster.Get(system).SelfAddress.ToString();

        var trusted = NodeTls.Trusted([Of(stranger), Of(second), $"akka.ssl.tcp://story@127.0.0.1:{mute}", Of(first), "akka.ssl.tcp://story@no.such.host.invalid:1"], _identities[0]);

        Assert.Equal([Of(second), Of(first)], trusted);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true, "akka.remote.dot-netty.tcp.hostname=0.0.0.0", "akka.remote.dot-netty.tcp.public-hostname=node1")]
    [InlineData(true, "cluster.lane.host=0.0.0.0", "cluster.lane.advertised-host=localhost")]
    [InlineData(false, "akka.remote.dot-netty.tcp.hostname=node1", "cluster.tls.certificate=a.pem", "cluster.tls.authorities=b.pem")]
    public void Without_TLS_on_a_network_the_risk_is_named(bool isThere, params string[] settings)
    {
        var bound = TestRun.Bind("runs", settings);
        var risk = NodeTls.RiskOf(bound.Settings.Cluster, NodeNetwork.Of(bound));
        Assert.Equal(isThere, risk is not null);
        Assert.True(risk is null || risk.Contains("without TLS: whoever reaches its ports can join the run", StringComparison.Ordinal), risk);
    }

    [Fact]
    public void A_password_is_neither_printed_nor_kept()
    {
        var bound = TestRun.Bind("runs", "cluster.tls.certificate=a.pem", "cluster.tls.authorities=b.pem", "cluster.tls.password=very-secret");
        Assert.Equal("very-secret", NodeTls.FilesOf(bound.Settings.Cluster.Tls)!.Password);
        Assert.DoesNotContain("very-secret", bound.EffectiveText(), StringComparison.Ordinal);
        Assert.DoesNotContain("very-secret", bound.Settings.Cluster.ToString(), StringComparison.Ordinal);
        Assert.Contains("a.pem", bound.EffectiveText(), StringComparison.Ordinal);
    }

    [Fact]
    public void Half_a_section_and_odd_lane_settings_are_problems()
    {
        Assert.Contains("authorities is empty", Assert.Single(new ClusterTls { Certificate = "a" }.Problems()), StringComparison.Ordinal);
        Assert.Contains("certificate is empty", Assert.Single(new ClusterTls { Key = "a" }.Problems()), StringComparison.Ordinal);
        Assert.Empty(new ClusterTls().Problems());
        Assert.Equal(3, new ClusterLane { Port = 70000, Quota = 5, Transfers = 0 }.Problems().Count());
        Assert.Empty(new ClusterLane().Problems());
    }

    private async Task<ActorSystem> LeaderAsync()
    {
        var first = Start(_files.Node("first"));
        await AkkaCluster.Get(first).JoinAsync(AkkaCluster.Get(first).SelfAddress).WaitAsync(s_limit);
        return first;
    }

    private ActorSystem Start(TlsSettings files)
    {
        var identity = files.Load(_log.Warning);
        _identities.Add(identity);
        return Start(NodeNetwork.SystemSetup(MemoryFiles.Load(""), ["rollout"], identity, _log));
    }

    private ActorSystem Start(ActorSystemSetup setup)
    {
        var system = ActorSystem.Create("story", setup);
        _systems.Add(system);
        return system;
    }
}
