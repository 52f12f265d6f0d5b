using System.Diagnostics;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

[Trait("Category", "CI")]
public sealed class LanePartsTests
{
    [Fact]
    public void Everything_wrong_in_the_settings_is_said_at_once()
    {
        Assert.Empty(new LaneSettings().Problems());

        var problems = new LaneSettings
        {
            Host = "0.0.0.0", Port = -1, Quota = 5, Reserve = -1, Transfers = 0, Connections = 1, Greeting = TimeSpan.Zero, Silence = TimeSpan.Zero, Deadline = TimeSpan.Zero,
            MemoryFolder = "/no/such/folder", MachineId = "a|b", Tls = new TlsSettings { CertificateFile = "absent.pem", AuthoritiesFile = "none.pem" },
        }.Problems().ToArray();

        Assert.Equal(13, problems.Length);
        foreach (var part in (string[])["0.0.0.0", "port is -1", "quota is 5", "reserve is -1", "transfers is 0", "connections is 1", "greeting", "silence", "deadline", "/no/such/folder", "a|b", "absent.pem", "none.pem"])
            Assert.Contains(problems, problem => problem.Contains(part, StringComparison.Ordinal));
    }

    [Fact]
    public void A_location_is_read_as_it_was_written_and_leaves_the_path_out_When_it_is_too_long()
    {
        var location = new LaneLocation("machine", "node-0", 29500, Guid.NewGuid(), LaneLocation.NewToken(), "/dev/shm/a|b");

        Assert.Equal(location.ToText(), LaneLocation.Parse(location.ToText())!.ToText());
        Assert.Equal("/dev/shm/a|b", LaneLocation.Parse(location.ToText())!.Path);
        var long_ = location with { Path = new string('p', 500) };
        Assert.InRange(long_.ToText().Length, 1, LaneSettings.LongestLocation);
        Assert.Equal("", LaneLocation.Parse(long_.ToText())!.Path);
        foreach (var wrong in (string[])["", "lane1", location.ToText().Replace("29500", "99999"), location.ToText().Replace("lane1", "lane2"), location.ToText()[..100], new string('|', 600)])
            Assert.Null(LaneLocation.Parse(wrong));
    }

    [Fact]
    public void A_quota_makes_senders_wait_as_long_as_their_bytes_take()
    {
        const long quota = 1 << 20;
        var pace = new Pace(quota);
        var start = Stopwatch.GetTimestamp();

        var wait = TimeSpan.Zero;
        for (var sent = 0L; sent <= quota; sent += pace.Piece)
            wait = pace.Take(pace.Piece);

        // A second's bytes, but for what the bucket holds and for the time that the test itself took.
        var most = TimeSpan.FromSeconds(1);
        Assert.InRange(wait, most - Stopwatch.GetElapsedTime(start) - TimeSpan.FromMilliseconds(30), most);
        Assert.Equal(TimeSpan.Zero, new Pace(0).Take(int.MaxValue));
    }

    [Fact]
    public void Folders_whose_process_is_gone_are_removed_at_the_next_start_and_others_stay()
    {
        using var nodes = new LaneNodes();
        using var living = LaneFolder.Create(nodes.Folder);
        var root = Path.GetDirectoryName(living.Own)!;
        var dead = Directory.CreateDirectory(Path.Combine(root, "owner-dead")).FullName;
        File.WriteAllText(Path.Combine(dead, "held"), "");
        File.WriteAllText(Path.Combine(dead, "weights.blob"), "");
        var shared = LaneFolder.SharedIn(root, "machine", Guid.NewGuid());
        using var holder = LaneFolder.TryShare(shared);
        var abandoned = LaneFolder.SharedIn(root, "machine", Guid.NewGuid());
        LaneFolder.TryShare(abandoned)!.Dispose();

        using var next = LaneFolder.Create(nodes.Folder);

        Assert.Equal(new[] { living.Own, next.Own, shared }.Order(), Directory.GetDirectories(root).Order());
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(root));
    }

    [Fact]
    public void A_published_file_is_its_users_alone()
    {
        if (OperatingSystem.IsWindows())
            return;
        using var nodes = new LaneNodes();
        nodes.Lane("a").Publish("weights", LaneNodes.Bytes(10));

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Assert.Single(nodes.Blocks())));
    }

    [Fact]
    public void A_block_goes_to_the_spill_folder_When_the_memory_folder_has_no_room()
    {
        using var nodes = new LaneNodes();
        var spill = Directory.CreateDirectory(Path.Combine(nodes.Folder, "spill")).FullName;
        var lane = nodes.Lane("a", settings => settings with { SpillFolder = spill });
        foreach (var own in Directory.GetDirectories(Directory.GetDirectories(nodes.Folder).Single(folder => folder != spill)))
            Directory.Delete(own, recursive: true);

        var blob = lane.Publish("weights", LaneNodes.Bytes(10));

        Assert.StartsWith(spill, Assert.Single(nodes.Blocks()), StringComparison.Ordinal);
        Assert.Equal(LaneNodes.Bytes(10), LaneNodes.Fetch(nodes.Lane("b"), blob));
    }

    [Fact]
    public void Memory_of_a_withdrawn_block_is_used_again_unless_somebody_reads_it()
    {
        using var nodes = new LaneNodes();
        const int bytes = BlobFile.ChunkLength + 5;
        var (publisher, reader) = (nodes.Lane("a", settings => settings with { Reserve = 2 * bytes }), nodes.Lane("a"));
        var first = publisher.Publish("weights", LaneNodes.Bytes(bytes));
        var path = Assert.Single(nodes.Blocks());
        var location = LaneLocation.Parse(first.Location)!;

        publisher.Withdraw(first);
        Assert.Null(BlobFile.TryOpen(path, location.Block, location.Token, bytes));
        var second = publisher.Publish("weights", LaneNodes.Bytes(bytes, salt: 1));
        Assert.Equal(path, Assert.Single(nodes.Blocks()));
        Assert.ThrowsAny<IOException>(() => LaneNodes.Fetch(reader, first));
        Assert.Equal(LaneNodes.Bytes(bytes, salt: 1), LaneNodes.Fetch(reader, second));

        location = LaneLocation.Parse(second.Location)!;
        using (BlobFile.TryOpen(path, location.Block, location.Token, bytes))
            publisher.Withdraw(second);
        publisher.Publish("weights", LaneNodes.Bytes(bytes, salt: 2));
        Assert.NotEqual(path, Assert.Single(nodes.Blocks()));
    }

    [Fact]
    public void A_small_block_leaves_nothing_at_its_readers_and_comes_from_the_publisher_each_time()
    {
        using var nodes = new LaneNodes();
        nodes.Settings = nodes.Settings with { ChainFrom = 101 };
        var (publisher, reader) = (nodes.Lane("a"), nodes.Lane("b"));
        var (small, large) = (publisher.Publish("small", LaneNodes.Bytes(100)), publisher.Publish("large", LaneNodes.Bytes(101)));

        for (var time = 0; time < 2; time++)
        {
            Assert.Equal(LaneNodes.Bytes(100), LaneNodes.Fetch(reader, small));
            Assert.Equal(LaneNodes.Bytes(101), LaneNodes.Fetch(reader, large));
        }

        Assert.Equal((200, 101), (publisher.CountersOf(small).Sent, publisher.CountersOf(large).Sent));
        Assert.Equal(3, nodes.Blocks().Length);
    }

    [Fact]
    public void No_reader_ever_waits_for_itself()
    {
        var random = new Random(7);
        for (var round = 0; round < 200; round++)
        {
            var chain = new ReaderChain();
            var readers = Enumerable.Range(0, 8).Select(i => new LaneParent(Guid.NewGuid(), "h", i == 3 ? 0 : 1000 + i)).ToArray();
            var (parents, complete) = (new Dictionary<Guid, Guid?>(), new HashSet<Guid>());
            for (var step = 0; step < 60; step++)
            {
                var reader = readers[random.Next(readers.Length)];
                switch (random.Next(4))
                {
                    case 0:
                        parents[reader.Id] = chain.Join(reader)?.Id;
                        break;
                    case 1 when parents.GetValueOrDefault(reader.Id) is { } parent:
                        parents[reader.Id] = chain.Lost(reader.Id, parent)?.Id;
                        Assert.NotEqual(parent, parents[reader.Id]);
                        break;
                    case 2 when parents.ContainsKey(reader.Id):
                        chain.Complete(reader.Id);
                        complete.Add(reader.Id);
                        break;
                    default:
                        chain.Left(reader.Id);
                        break;
                }

                foreach (var start in readers)
                {
                    var length = 0;
                    for (Guid? at = start.Id; at is { } id && !complete.Contains(id); at = parents.GetValueOrDefault(id))
                        Assert.True(++length <= readers.Length, "a circle");
                }

                Assert.DoesNotContain(readers[3].Id, parents.Values.OfType<Guid>());
            }
        }
    }
}
