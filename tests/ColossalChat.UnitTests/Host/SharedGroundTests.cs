using ColossalChat.Host.Nodes;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class SharedGroundTests
{
    [Fact]
    public void Processes_of_one_machine_are_alike() => Assert.Equal(SharedGround.Describe(), SharedGround.Describe());

    // What two services, a container and a pod see under one name.
    [Theory]
    [InlineData("0:23 / /dev/shm", "0:23 ")]
    [InlineData("0:23 / /somewhere", "8:1 /dev/shm")]
    [InlineData("0:99 / /dev/shm", "0:99 ")]
    [InlineData("8:1 /volumes/a /dev", "8:1 /volumes/a/shm")]
    public void A_folder_is_known_by_what_lies_behind_it(string mount, string place) =>
        Assert.Equal(place, SharedGround.PlaceOf("/dev/shm/", ["20 1 8:1 / / rw - ext4 none rw", $"25 20 {mount} rw,relatime - tmpfs tmpfs rw"]));

    [Fact]
    public void Of_several_mounts_at_one_point_the_last_counts() =>
        Assert.Equal("0:2 /a", SharedGround.PlaceOf("/tmp/a", ["1 0 8:1 / / rw", "2 1 0:1 / /tmp rw", "3 2 0:2 / /tmp rw"]));
}
