using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using ColossalChat.Contracts;
using ColossalChat.Tests;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>Where trainer ranks meet, strangers learn nothing, and the log names them.</summary>
[Trait("Category", "CI")]
public sealed class PeerTlsTests : IDisposable
{
    private readonly TlsFiles _files = new();
    private readonly LogLines _log = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public async Task Ranks_with_certificates_of_our_authority_meet_at_an_address()
    {
        var address = $"tcp://127.0.0.1:{MeetingPlace.FreePort()}";
        await MeetingPlace.EachRank(2, rank =>
        {
            using var identity = _files.Node($"rank{rank}").Load(_log.Warning);
            using var group = PeerAddress.Open(address, identity).Join(new RankPlace("g", rank, 2), LaneNodes.Limit);
            group.LinkTo(1 - rank).Send([(byte)rank], LaneNodes.Limit);
            var byteOfOther = new byte[1];
            group.LinkTo(1 - rank).Receive(byteOfOther, LaneNodes.Limit);
            Assert.Equal(1 - rank, byteOfOther[0]);
        }, LaneNodes.Limit);
        Assert.Empty(_log.Lines);
    }

    [Theory]
    [InlineData("none", "no certificate was shown")]
    [InlineData("foreign", "does not come from one of our authorities")]
    [InlineData("expired", "CN=late expired on")]
    public async Task A_stranger_at_the_board_is_refused_and_the_log_says_why(string kind, string why)
    {
        using var strangers = new TlsFiles();
        using var identity = _files.Node("rank").Load(_log.Warning);
        using var stop = new CancellationTokenSource();
        var port = MeetingPlace.FreePort();
        var waiting = DeviceLeasesTests.OnThread(() => Assert.ThrowsAny<OperationCanceledException>(
            () => PeerAddress.Open($"tcp://127.0.0.1:{port}", identity).Join(new RankPlace("g", 0, 2), LaneNodes.Limit, stop.Token)));

        var files = kind switch { "foreign" => strangers.Node("stranger"), "expired" => _files.Node("late", -1.5, -0.5), _ => null };
        using var certificate = files is null ? null : X509Certificate2.CreateFromPemFile(files.CertificateFile, files.KeyFile);
        var answer = 0;
        try
        {
            using var socket = Connect(port);
            using var stream = new SslStream(new NetworkStream(socket), false, (_, shown, _, _) => shown is not null);
            stream.AuthenticateAsClient(new SslClientAuthenticationOptions
            {
                TargetHost = "x",
                ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, null, offline: true),
            });
            answer = stream.Read(new byte[100]);
        }
        catch (Exception error) when (error is IOException or AuthenticationException)
        {
            answer = 0;
        }

        Assert.Equal(0, answer);
        _log.Await("to where trainer ranks meet was refused");
        _log.Await(why);
        await stop.CancelAsync();
        await waiting.WaitAsync(LaneNodes.Limit);
    }

    // The board opens when the first rank has come.
    private static Socket Connect(int port)
    {
        Socket? socket = null;
        Assert.True(SpinWait.SpinUntil(() =>
        {
            socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Connect("127.0.0.1", port);
                return true;
            }
            catch (SocketException)
            {
                socket.Dispose();
                return false;
            }
        }, LaneNodes.Limit));
        return socket!;
    }
}
