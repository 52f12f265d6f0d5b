using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

[Trait("Category", "CI")]
public sealed class CheckpointTests : IDisposable
{
    private readonly string _runFolder = Directory.CreateTempSubdirectory("colossalchat-checkpoints-").FullName;

    public void Dispose() => Directory.Delete(_runFolder, recursive: true);

    [Fact]
    public void What_was_captured_comes_back_bit_for_bit()
    {
        var folder = CheckpointWriter.Write(_runFolder, StateOf(20, epoch: 3), keep: 2);

        var checkpoint = Checkpoints.Open(folder);
        var state = checkpoint.State;

        Assert.Equal("step-00000020", Path.GetFileName(folder));
        Assert.Equal((20L, 3L), (checkpoint.Iteration, checkpoint.Epoch));
        Assert.Equal(new RunTotals(160, 2000), state.Totals);
        Assert.Equal(["experience", "trainers.policy"], state.Images.Keys.Order());
        var image = state.Images["trainers.policy"];
        Assert.Equal(["weights", "empty", "scalar"], image.TensorNames);
        Assert.Equal(ElementType.BFloat16, image.Describe("weights").Type);
        Assert.Equal([2L, 3], image.Describe("weights").Shape);
        var bytes = new byte[12];
        image.ReadTensor("weights", bytes);
        Assert.Equal(Enumerable.Range(20, 12).Select(i => (byte)i), bytes);
        Assert.Equal("{\"step\": 20, \"name\": \"ü\"}", image.ReadJson("position"));
    }

    [Fact]
    public void A_run_resumed_from_an_older_place_is_the_newest_branch()
    {
        CheckpointWriter.Write(_runFolder, StateOf(100, epoch: 1), keep: 5);
        CheckpointWriter.Write(_runFolder, StateOf(60, epoch: 2), keep: 5);

        Assert.Equal(60, Checkpoints.Latest(_runFolder).Checkpoint!.Iteration);
    }

    [Fact]
    public void A_checkpoint_moved_aside_by_a_killed_writer_comes_back()
    {
        var folder = CheckpointWriter.Write(_runFolder, StateOf(20, epoch: 1), keep: 1);
        Directory.Move(folder, Path.Combine(_runFolder, "checkpoints", ".step-00000020.replaced.unfinished"));
        Assert.Null(Checkpoints.Latest(_runFolder).Checkpoint);

        Checkpoints.Recover(_runFolder);

        Assert.Equal(folder, Checkpoints.Latest(_runFolder).Checkpoint!.Folder);
    }

    [Fact]
    public void Only_the_newest_are_kept_and_nothing_unfinished_stays()
    {
        Directory.CreateDirectory(Path.Combine(_runFolder, "checkpoints", ".step-00000009.unfinished"));

        foreach (var iteration in new[] { 10, 20, 30, 30 })
            CheckpointWriter.Write(_runFolder, StateOf(iteration), keep: 2);

        Assert.Equal(["step-00000020", "step-00000030"],
            Directory.GetFileSystemEntries(Path.Combine(_runFolder, "checkpoints")).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void What_cannot_be_removed_is_said_and_the_new_one_is_written_all_the_same()
    {
        if (OperatingSystem.IsWindows() || Environment.IsPrivilegedProcess)
            return; // Nothing is forbidden to root.
        var old = CheckpointWriter.Write(_runFolder, StateOf(10), keep: 1);
        var closed = Path.Combine(old, "experience");
        File.SetUnixFileMode(closed, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        try
        {
            var remarks = new List<string>();
            foreach (var iteration in new[] { 20, 20, 30 })
                Assert.Equal(iteration, Checkpoints.Open(CheckpointWriter.Write(_runFolder, StateOf(iteration), keep: 1, best: null, remarks.Add)).Iteration);
            Assert.Equal(3, remarks.Count);
            Assert.All(remarks, remark => Assert.StartsWith($"{old} is no longer needed but could not be removed: ", remark, StringComparison.Ordinal));
        }
        finally
        {
            File.SetUnixFileMode(closed, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [Theory]
    [InlineData("trainers.policy/state.bin", "torn", "bytes instead of")]
    [InlineData("trainers.policy/state.bin", "flipped", "does not have its hash")]
    [InlineData("experience/state.json", "flipped", "does not have its hash")]
    [InlineData("experience/state.json", "gone", "is missing")]
    [InlineData("manifest.json", "torn", "is torn")]
    [InlineData("manifest.json", "gone", "has no manifest.json")]
    public void A_damaged_checkpoint_is_skipped_with_its_reason_and_the_one_before_it_is_used(string file, string damage, string reason)
    {
        CheckpointWriter.Write(_runFolder, StateOf(10), keep: 3);
        var newest = CheckpointWriter.Write(_runFolder, StateOf(20), keep: 3);
        Damage(Path.Combine(newest, file), damage);

        var choice = Checkpoints.Latest(_runFolder);

        Assert.Equal(10, choice.Checkpoint?.Iteration);
        Assert.Contains(reason, Assert.Single(choice.Skipped), StringComparison.Ordinal);
        Assert.Contains(newest, choice.Skipped[0], StringComparison.Ordinal);
        Assert.Contains(reason, Assert.Throws<UserErrorException>(() => Checkpoints.Open(newest)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_checkpoint_that_cannot_be_read_is_named()
    {
        var folder = CheckpointWriter.Write(_runFolder, StateOf(10), keep: 1);
        using var locked = new FileStream(Path.Combine(folder, "manifest.json"), FileMode.Open, FileAccess.ReadWrite, FileShare.None);

        Assert.Contains("manifest.json", Assert.Throws<UserErrorException>(() => Checkpoints.Open(folder)).Message, StringComparison.Ordinal);
        Assert.Contains(folder, Assert.Single(Checkpoints.Latest(_runFolder).Skipped), StringComparison.Ordinal);
    }

    [Fact]
    public void A_measurement_that_is_still_to_be_made_is_remembered()
    {
        var folder = CheckpointWriter.Write(_runFolder, StateOf(10) with { OwesMeasurement = true }, keep: 1);

        Assert.True(Checkpoints.Open(folder).State.OwesMeasurement);
    }

    [Fact]
    public void A_branch_that_was_given_up_takes_no_place_and_goes_when_the_run_has_come_past_it()
    {
        foreach (var iteration in new[] { 10, 20, 30 })
            CheckpointWriter.Write(_runFolder, StateOf(iteration, epoch: 1), keep: 3);
        var from = Checkpoints.Open(Path.Combine(_runFolder, "checkpoints", "step-00000010"));

        Assert.Equal(2, Checkpoints.GiveUpOthers(_runFolder, from));
        CheckpointWriter.Write(_runFolder, StateOf(25, epoch: 2), keep: 2);

        Assert.Equal(["step-00000025", "step-00000010"], Checkpoints.FoldersOf(_runFolder).Select(Path.GetFileName));
        Assert.Equal(["step-00000030"], Checkpoints.GivenUp(_runFolder).Select(Path.GetFileName));
        Assert.All(Checkpoints.GivenUp(_runFolder), folder => Assert.True(Checkpoints.IsGivenUp(folder)));
        Assert.Equal(2, Checkpoints.HighestEpoch(_runFolder));
    }

    [Fact]
    public void There_is_no_latest_checkpoint_in_a_new_run()
    {
        Assert.Null(Checkpoints.Latest(Path.Combine(_runFolder, "new")).Checkpoint);
        Assert.Equal(ExitCode.NotFound, Assert.Throws<UserErrorException>(() => Checkpoints.Open(_runFolder)).ExitCode);
    }

    [Fact]
    public void An_image_names_what_it_lacks_and_refuses_what_does_not_fit()
    {
        var image = new StateImage("trainers.policy");
        image.WriteTensor("weights", ElementType.Float32, [1], new byte[4]);

        Assert.Contains("trainers.policy has no tensor 'bias', only weights",
            Assert.Throws<UserErrorException>(() => image.Describe("bias")).Message, StringComparison.Ordinal);
        Assert.Contains("no document 'position'",
            Assert.Throws<UserErrorException>(() => image.ReadJson("position")).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => image.WriteTensor("weights", ElementType.Float32, [1], new byte[4]));
        Assert.Throws<ArgumentException>(() => image.WriteTensor("other", ElementType.Float32, [2], new byte[4]));
        Assert.Throws<ArgumentException>(() => image.ReadTensor("weights", new byte[8]));
    }

    [Fact]
    public void An_image_that_is_written_again_reuses_its_memory_and_forgets_its_content()
    {
        var image = new StateImage("trainers.policy");
        image.WriteTensor("weights", ElementType.UInt8, [4], [1, 2, 3, 4]);
        var memory = image.Data("weights");
        image.WriteTensor("old", ElementType.UInt8, [1], [1]);

        image.Begin();
        image.WriteTensor("weights", ElementType.UInt8, [4], [5, 6, 7, 8]);

        Assert.Same(memory, image.Data("weights"));
        var content = new byte[4];
        image.ReadTensor("weights", content);
        Assert.Equal([5, 6, 7, 8], content);
        Assert.Equal(["weights"], image.TensorNames);
    }

    [Fact]
    public void Bytes_in_a_file_are_read_as_written_and_the_file_has_no_name()
    {
        var folder = Directory.CreateTempSubdirectory("colossalchat-bytes-");
        try
        {
            var data = Enumerable.Range(0, 70_001).Select(i => (byte)(i * 7)).ToArray();
            var bytes = new OwnBytes.InFile(data.Length, folder.FullName);
            bytes.Set([.. data.Reverse()]);
            bytes.Set(data);

            var (whole, part) = (new byte[data.Length], new byte[5]);
            bytes.Read(0, whole);
            bytes.Read(69_996, part);
            Assert.Equal(data, whole);
            Assert.Equal(data[69_996..], part);
            if (!OperatingSystem.IsWindows())
                Assert.Empty(folder.GetFiles());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static RunState StateOf(long iteration, long epoch = 1)
    {
        var trainer = new StateImage("trainers.policy");
        trainer.WriteTensor("weights", ElementType.BFloat16, [2, 3], [.. Enumerable.Range((int)iteration, 12).Select(i => (byte)i)]);
        trainer.WriteTensor("empty", ElementType.Float32, [0, 7], []);
        trainer.WriteTensor("scalar", ElementType.Int64, [], new byte[8]);
        trainer.WriteJson("position", $"{{\"step\": {iteration}, \"name\": \"ü\"}}");
        var experience = new StateImage("experience");
        experience.WriteJson("coefficient", "0.25");
        return new RunState(iteration, epoch, new RunTotals(iteration * 8, iteration * 100), new Dictionary<string, StateImage> { [trainer.Role] = trainer, [experience.Role] = experience });
    }

    private static void Damage(string path, string damage)
    {
        var bytes = File.ReadAllBytes(path);
        if (damage == "gone")
        {
            File.Delete(path);
            return;
        }

        if (damage == "flipped")
            bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, damage == "torn" ? bytes[..(bytes.Length / 2)] : bytes);
    }
}
