using ColossalChat.Contracts;
using ColossalChat.PluginHost;
using Xunit;

namespace ColossalChat.UnitTests.PluginHost;

/// <summary>Copies of plugin folders, and the look-out for changed ones.</summary>
[Trait("Category", "CI")]
public sealed class PluginFoldersTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("colossalchat-folders-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void A_copy_is_named_for_its_content_and_made_once()
    {
        var source = Folder("build", ("Mine.dll", "one"), ("sub/data.bin", "x"));
        var copies = new PluginCopies(Path.Combine(_root, "copies"));

        var first = copies.Take("Mine", source);
        var again = copies.Take("Mine", source);
        File.WriteAllText(Path.Combine(source, "Mine.dll"), "two");
        var second = copies.Take("Mine", source);

        Assert.Equal("Mine", Path.GetFileName(first));
        Assert.Equal(first, again);
        Assert.NotEqual(first, second);
        Assert.Equal(("one", "two", "x"), (Read(first, "Mine.dll"), Read(second, "Mine.dll"), Read(second, "sub/data.bin")));
        Assert.Equal(2, Directory.GetFileSystemEntries(copies.Root).Length);
    }

    [Fact]
    public void A_copy_has_a_full_path_though_the_runs_folder_is_given_from_here()
    {
        var source = Folder("build", ("Mine.dll", "one"));
        var copies = new PluginCopies(Path.GetRelativePath(Environment.CurrentDirectory, Path.Combine(_root, "copies")));
        Assert.StartsWith(_root, copies.Take("Mine", source), StringComparison.Ordinal);
    }

    [Fact]
    public void A_copy_that_somebody_spoilt_is_refused()
    {
        var source = Folder("build", ("Mine.dll", "one"));
        var copies = new PluginCopies(Path.Combine(_root, "copies"));
        File.WriteAllText(Path.Combine(copies.Take("Mine", source), "Mine.dll"), "spoilt");
        Assert.Contains("could not be copied", Assert.Throws<UserErrorException>(() => copies.Take("Mine", source)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_plugin_is_found_in_a_folder_of_any_name_or_in_a_folder_of_plugins()
    {
        var (build, plugins) = (Folder("net10.0", ("Mine.dll", "one")), Folder("plugins/Mine", ("Mine.dll", "one")));
        Assert.Equal(build, PluginCopies.Find("Mine", build + "/"));
        Assert.Equal(plugins, PluginCopies.Find("Mine", Path.GetDirectoryName(plugins)!));
        Assert.Contains("There is no Other.dll", Assert.Throws<UserErrorException>(() => PluginCopies.Find("Other", build)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_change_is_told_once_and_not_before_it_is_the_same_at_two_looks()
    {
        var folder = Folder("Mine", ("Mine.dll", "one"));
        var watch = new PluginWatch(new Dictionary<string, string> { ["Mine"] = folder });
        Assert.Empty(watch.Look());

        File.WriteAllText(Path.Combine(folder, "Mine.dll"), "two, half");
        Assert.Empty(watch.Look());
        File.WriteAllText(Path.Combine(folder, "Mine.dll"), "two, and now whole");
        Assert.Empty(watch.Look());

        Assert.Equal([("Mine", folder)], watch.Look());
        Assert.Empty(watch.Look());
    }

    [Fact]
    public void A_folder_that_is_replaced_by_renaming_is_seen_and_one_that_is_away_is_waited_for()
    {
        var folder = Folder("Mine", ("Mine.dll", "one"));
        var watch = new PluginWatch(new Dictionary<string, string> { ["Mine"] = folder });
        Directory.Move(folder, Path.Combine(_root, "old"));
        Assert.Empty(watch.Look());
        Directory.Move(Folder("new", ("Mine.dll", "two")), folder);
        Assert.Empty(watch.Look());
        Assert.Single(watch.Look());
    }

    [Fact]
    public void What_is_known_of_another_source_is_not_told_and_what_follows_is_also_the_first_version()
    {
        var folder = Folder("Mine", ("Mine.dll", "one"));
        var watch = new PluginWatch(new Dictionary<string, string> { ["Mine"] = folder });
        File.WriteAllText(Path.Combine(folder, "Mine.dll"), "two");
        watch.Skip((plugin, where) => (plugin, where) == ("Mine", folder));
        Assert.Empty(watch.Look());
        Assert.Empty(watch.Look());

        File.WriteAllText(Path.Combine(folder, "Mine.dll"), "one");
        watch.Skip((_, _) => false);
        Assert.Empty(watch.Look());
        Assert.Single(watch.Look());
    }

    [Fact]
    public void A_folder_that_is_touched_or_goes_back_to_what_it_was_has_not_changed()
    {
        var folder = Folder("Mine", ("Mine.dll", "one"));
        var watch = new PluginWatch(new Dictionary<string, string> { ["Mine"] = folder });
        File.SetLastWriteTimeUtc(Path.Combine(folder, "Mine.dll"), new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        Assert.Empty(watch.Look());
        File.WriteAllText(Path.Combine(folder, "Mine.dll"), "two");
        Assert.Empty(watch.Look());
        File.WriteAllText(Path.Combine(folder, "Mine.dll"), "one");
        Assert.Empty(watch.Look());
        Assert.Empty(watch.Look());
    }

    private string Folder(string name, params (string File, string Text)[] files)
    {
        var folder = Path.Combine(_root, name);
        foreach (var (file, text) in files)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder, file))!);
            File.WriteAllText(Path.Combine(folder, file), text);
        }

        return folder;
    }

    private static string Read(string folder, string file) => File.ReadAllText(Path.Combine(folder, file));
}
