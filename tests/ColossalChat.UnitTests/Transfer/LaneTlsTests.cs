using System.Net.Sockets;
using System.Text;
using ColossalChat.Contracts;
using ColossalChat.Tests;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

[Trait("Category", "CI")]
public sealed class LaneTlsTests : IDisposable
{
    private readonly LaneNodes _nodes = new();
    private readonly TlsFiles _files = new();

    public void Dispose()
    {
        _nodes.Dispose();
        _files.Dispose();
    }

    [Fact]
    public async Task Readers_with_certificates_of_our_authority_form_a_chain()
    {
        const int bytes = (5 * BlobFile.ChunkLength) + 3;
        NetworkBlobLane Lane(string name) => _nodes.Lane(name, settings => settings with { Tls = _files.Node(name) });
        var publisher = Lane("publisher");
        var readers = Enumerable.Range(0, 3).Select(i => Lane($"reader{i}")).ToArray();
        var content = LaneNodes.Bytes(bytes);

        var blob = publisher.Publish("weights", content);
        Assert.All(await LaneNodes.FetchAll(readers, blob), fetched => Assert.Equal(content, fetched));

        Assert.Equal(bytes, publisher.CountersOf(blob).Sent);
        Assert.Equal(2, publisher.CountersOf(blob).Redirected);
    }

    [Theory]
    [InlineData("publisher")]
    [InlineData("reader")]
    public void Both_ends_must_be_among_the_names_that_are_let_in(string known)
    {
        NetworkBlobLane Lane(string name) => _nodes.Lane(name, settings => settings with { Silence = TimeSpan.FromSeconds(1), Tls = _files.Node(name) with { Names = [name, known] } });
        var (publisher, reader) = (Lane("publisher"), Lane("reader"));
        var blob = publisher.Publish("weights", LaneNodes.Bytes(100));

        Assert.ThrowsAny<IOException>(() => reader.Fetch(blob, new byte[100], CancellationToken.None));
        Assert.Equal(0, publisher.CountersOf(blob).Sent);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("foreign")]
    [InlineData("expired")]
    public void A_reader_without_a_good_certificate_gets_nothing(string kind)
    {
        using var strangers = new TlsFiles();
        var publisher = _nodes.Lane("publisher", settings => settings with { Tls = _files.Node("publisher") });
        var blob = publisher.Publish("weights", LaneNodes.Bytes(100));

        // The stranger believes whatever it is shown; what counts is that the publisher does not believe it.
        using var identity = kind switch
        {
            "foreign" => TlsIdentityOf(strangers.Node("stranger")),
            "expired" => TlsIdentityOf(_files.Node("late", -1.5, -0.5)),
            _ => null,
        };
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        socket.Connect("127.0.0.1", publisher.Port);
        using var stream = new System.Net.Security.SslStream(new NetworkStream(socket), false, (_, shown, _, _) => shown is not null);
        var location = LaneLocation.Parse(blob.Location)!;
        var hello = new LaneHello(ReaderPurpose.Join, location.Block, location.Token, Guid.NewGuid(), "", 0).ToBytes();
        var answer = 0;
        try
        {
            stream.AuthenticateAsClient(new System.Net.Security.SslClientAuthenticationOptions { TargetHost = "x", ClientCertificateContext = identity?.Context });
            stream.Write([(byte)FrameKind.Hello, (byte)hello.Length, 0, 0, 0, .. hello]);
            answer = stream.Read(new byte[100]);
        }
        catch (Exception error) when (error is IOException or System.Security.Authentication.AuthenticationException)
        {
            answer = 0;
        }

        Assert.Equal(0, answer);
        _nodes.Log.Await(kind switch { "foreign" => "authorities", "expired" => "expired on", _ => "no certificate" });
        Assert.Equal(0, publisher.Counters.Sent);
        Assert.Equal(1, publisher.Counters.Refused);
    }

    [Fact]
    public void A_reader_refuses_a_publisher_without_a_good_certificate_and_says_why()
    {
        using var strangers = new TlsFiles();
        var publisher = _nodes.Lane("publisher", settings => settings with { Tls = strangers.Node("publisher") });
        var reader = _nodes.Lane("reader", settings => settings with { Tls = _files.Node("reader"), Silence = TimeSpan.FromMilliseconds(200) });

        var error = Assert.ThrowsAny<IOException>(() => LaneNodes.Fetch(reader, publisher.Publish("weights", LaneNodes.Bytes(100))));

        Assert.Contains("authorities", error.Message, StringComparison.Ordinal);
        Assert.Contains("CN=publisher", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_goes_over_a_connection_with_TLS_is_not_readable_and_without_it_is()
    {
        foreach (var isEncrypted in (bool[])[false, true])
        {
            var publisher = _nodes.Lane("publisher", settings => settings with { Tls = isEncrypted ? _files.Node("publisher") : null });
            var reader = _nodes.Lane("reader", settings => settings with { Tls = isEncrypted ? _files.Node("reader") : null });
            using var proxy = new LaneProxy(publisher.Port);
            var text = Encoding.ASCII.GetBytes("the weights are secret");

            var blob = proxy.Instead(publisher.Publish("weights", text));

            Assert.Equal(text, LaneNodes.Fetch(reader, blob));
            Assert.Equal(!isEncrypted, proxy.Seen.AsSpan().IndexOf(text) >= 0);
            publisher.Withdraw(blob);
        }
    }

    [Fact]
    public async Task A_rank_with_a_foreign_certificate_does_not_join_and_says_why()
    {
        using var strangers = new TlsFiles();
        using var ours = _files.Node("rank").Load();
        using var theirs = strangers.Node("stranger").Load();
        var port = MeetingPlace.FreePort();
        var limit = TimeSpan.FromSeconds(1);

        var first = DeviceLeasesTests.OnThread(() =>
            Assert.Contains("rank(s) 1", Assert.Throws<TimeoutException>(() => new SocketPeerLinks("127.0.0.1", port, "t", ours).Join(new RankPlace("g", 0, 2), limit)).Message, StringComparison.Ordinal));
        var error = Record.Exception(() => new SocketPeerLinks("127.0.0.1", port, "t", theirs).Join(new RankPlace("g", 1, 2), 3 * limit));

        Assert.Contains("CN=rank", error?.Message, StringComparison.Ordinal);
        await first.WaitAsync(LaneNodes.Limit);
    }

    // With all its faults: Load refuses what is expired or foreign.
    private static TlsIdentity TlsIdentityOf(TlsSettings settings)
    {
        var certificate = System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPemFile(settings.CertificateFile, settings.KeyFile);
        return new TlsIdentity(certificate, [], [], [], TimeProvider.System);
    }
}
