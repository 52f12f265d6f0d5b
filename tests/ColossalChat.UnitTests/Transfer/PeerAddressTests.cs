using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

[Trait("Category", "CI")]
public sealed class PeerAddressTests
{
    [Theory]
    [InlineData("dir:/tmp/run 1/meet", typeof(DirectoryPeerLinks))]
    [InlineData("tcp://node-0:29500", typeof(SocketPeerLinks))]
    [InlineData("tcp://[::1]:29500", typeof(SocketPeerLinks))]
    public void Ranks_meet_at_directories_and_ports(string address, Type kind) => Assert.IsType(kind, PeerAddress.Open(address));

    [Theory]
    [InlineData("")]
    [InlineData("dir:")]
    [InlineData("/tmp/meet")]
    [InlineData("tcp://node-0")]
    [InlineData("tcp://node-0:0")]
    [InlineData("http://node-0:80")]
    public void Anything_else_is_refused_and_says_what_can_be_given(string address) =>
        Assert.Contains("dir:PATH", Assert.Throws<UserErrorException>(() => PeerAddress.Open(address)).Message, StringComparison.Ordinal);
}
