using System.Runtime.CompilerServices;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;
using ColossalChat.PluginHost;
using ColossalChat.Tests;
using ColossalChat.UnitTests.PluginHost;
using Xunit;

namespace ColossalChat.UnitTests.Host;

/// <summary>Versions of the sample reward, built once.</summary>
public sealed class RewardVersions : IAsyncLifetime
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("colossalchat-versions-").FullName;

    public string First { get; private set; } = "";

    public string Second { get; private set; } = "";

    public string OtherName { get; private set; } = "";

    public string OtherOption { get; private set; } = "";

    /// <summary>Its Register never returns.</summary>
    public string Hanging { get; private set; } = "";

    public async Task InitializeAsync()
    {
        var versions = new PluginVersions(Path.Combine(ShippedPlugins.Root, "tests", "plugins"), _scratch);
        First = versions.Add("SampleReward", "1.0.0");
        Second = versions.Add("SampleReward", "2.0.0", ("options.Score,", "options.Score / 2,"));
        OtherName = versions.Add("SampleReward", "3.0.0", ("\"sample-reward\"", "\"another-reward\""));
        OtherOption = versions.Add("SampleReward", "4.0.0", ("public float Score {", "public float Points {"), ("options.Score", "options.Points"), ("Score is < -1", "Points is < -1"), ("{Score}", "{Points}"));
        Hanging = versions.Add("SampleReward", "5.0.0", ("public void Register(IPluginRegistry registry)\n    {", "public void Register(IPluginRegistry registry)\n    {\n        AppContext.SetSwitch(\"hangs\", true);\n        Thread.Sleep(Timeout.Infinite);"));
        await versions.BuildAsync(Path.GetDirectoryName(ShippedPlugins.Folder)!);
    }

    public Task DisposeAsync()
    {
        Directory.Delete(_scratch, recursive: true);
        return Task.CompletedTask;
    }
}

/// <summary>A node's side of an exchange, with real plugins in contexts of their own.</summary>
[Trait("Category", "CI")]
[Collection(BuiltPluginsCollection.Name)]
public sealed class PluginExchangeTests(RewardVersions versions) : IClassFixture<RewardVersions>, IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("colossalchat-exchange-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void The_offered_version_makes_the_roles_after_the_switch_and_the_old_one_leaves_the_memory()
    {
        using var run = new Exchanging(_root, versions.First);
        Assert.Equal(0.5f, run.Score());

        var offer = run.Prepare(versions.Second);
        Assert.Equal(("1.0.0", "2.0.0"), (offer.Old, offer.New));
        Assert.Equal(0.5f, run.Score());
        Assert.Equal(["reward"], run.Exchange.Users("id"));
        run.Exchange.Switch("id");
        Assert.Equal(0.25f, run.Score());
        var advice = run.CommitAfter(7);

        Assert.Contains(Path.Combine(_root, "plugins", "SampleReward"), advice, StringComparison.Ordinal);
        Assert.Contains("SampleReward 1.0.0 is unloaded", Collected(run), StringComparison.Ordinal);
        var line = JsonLines.Read(Path.Combine(_root, "run", "plugins.jsonl")).Last();
        Assert.Equal((7, "SampleReward", "2.0.0", offer.Sha256), (line.GetProperty("iteration").GetInt64(), line.GetProperty("plugin").GetString(), line.GetProperty("version").GetString(), line.GetProperty("sha256").GetString()));
    }

    [Fact]
    public void Going_back_brings_the_first_version_and_its_options_back()
    {
        using var run = new Exchanging(_root, versions.First, "roles.reward.score=0.75");
        run.Prepare(versions.Second);
        run.Exchange.Switch("id");
        Assert.Equal(0.375f, run.Score());
        run.Exchange.GoBack("id");
        run.Exchange.GoBack("id");

        Assert.Equal(0.75f, run.Score());
        Assert.Contains("SampleReward 2.0.0 is unloaded", Collected(run), StringComparison.Ordinal);
        Assert.Equal("2.0.0", run.Prepare(versions.Second).New);
    }

    [Fact]
    public void A_version_that_lacks_what_the_run_uses_is_refused_and_unloaded()
    {
        using var run = new Exchanging(_root, versions.First);
        run.Score();
        AssertRefused(run, versions.OtherName, "does not offer what this run uses of SampleReward: scoring-role 'sample-reward'");
        Assert.Contains("SampleReward 3.0.0 is unloaded", Collected(run), StringComparison.Ordinal);
    }

    [Fact]
    public void A_version_that_does_not_take_the_configured_options_is_refused()
    {
        using var run = new Exchanging(_root, versions.First, "roles.reward.score=0.75");
        AssertRefused(run, versions.OtherOption, "unknown key 'score'");
    }

    [Fact]
    public void The_version_in_use_a_strange_name_and_an_empty_folder_are_refused()
    {
        using var run = new Exchanging(_root, versions.First);
        AssertRefused(run, versions.First, "nothing to exchange");
        AssertRefused(run, _root, "There is no SampleReward.dll");
        var error = Assert.Throws<UserErrorException>(() => run.Exchange.Prepare(new SwapRequest("id", "SampleRewrad", versions.Second)));
        Assert.Contains("Did you mean 'SampleReward'?", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pinned_plugin_takes_no_other_dll()
    {
        var pin = Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(Path.Combine(versions.First, "SampleReward.dll"))));
        using var run = new Exchanging(_root, versions.First, $"plugins.pins.SampleReward={pin}");
        AssertRefused(run, versions.Second, "pin-mismatch");
    }

    [Fact]
    public void A_version_that_somebody_still_holds_is_told_of()
    {
        using var run = new Exchanging(_root, versions.First);
        var kept = run.Role();
        run.Prepare(versions.Second);
        run.Exchange.Switch("id");
        run.CommitAfter(1);

        var retired = Enumerable.Range(0, 100_000).SelectMany(_ => run.Exchange.Collect()).First();

        Assert.False(retired.IsGone);
        Assert.Contains("SampleReward 1.0.0 is not in use any more and stays in memory", retired.Message, StringComparison.Ordinal);
        GC.KeepAlive(kept);
    }

    [Fact]
    public void A_shared_object_of_the_plugin_and_those_who_borrow_it_are_known()
    {
        using var run = new Exchanging(_root, versions.First);
        var first = Estimator(run);
        Assert.Same(first, Estimator(run));
        run.Prepare(versions.Second);
        Assert.Equal(["experience"], run.Exchange.Users("id"));
        run.Exchange.Switch("id");
        Assert.NotSame(first, Estimator(run));
    }

    [Fact]
    public void Of_several_nodes_each_loads_the_copy_in_the_runs_folder_and_checks_it_first()
    {
        using var run = new Exchanging(_root, versions.First, isSpread: true);
        var request = run.Exchange.Copied(new SwapRequest("id", "SampleReward", versions.Second));
        Assert.Equal("2.0.0", run.Exchange.Prepare(request).New);
        Assert.Equal("2.0.0", run.Exchange.Prepare(request).New);

        File.AppendAllText(Path.Combine(_root, "run", "plugins", request.Copy!.Place, "SampleReward.deps.json"), " ");
        var error = Assert.Throws<UserErrorException>(() => run.Exchange.Prepare(request with { Id = "another" }));
        Assert.Contains("is not what was copied there", error.Message, StringComparison.Ordinal);
        Assert.Contains("is not there, where SampleReward", Assert.Throws<UserErrorException>(
            () => run.Exchange.Prepare(request with { Id = "third", Copy = request.Copy with { Place = "nowhere/SampleReward" } })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_recorded_is_used_by_a_node_that_comes_later_and_by_one_that_was_trying_something()
    {
        using var first = new Exchanging(_root, versions.First, isSpread: true);
        first.Score();
        first.Exchange.Prepare(first.Exchange.Copied(new SwapRequest("id", "SampleReward", versions.Second)));
        first.Exchange.Switch("id");
        Assert.False(first.Exchange.Uses(first.Exchange.Recorded()));
        first.Exchange.Use(first.Exchange.Recorded());
        Assert.Equal(0.5f, first.Score());

        first.Exchange.Prepare(first.Exchange.Copied(new SwapRequest("two", "SampleReward", versions.Second)));
        first.Exchange.Switch("two");
        first.Exchange.Record("two", 3);
        first.Exchange.Use(first.Exchange.Recorded());
        Assert.Equal(0.25f, first.Score());
        Assert.Contains("SampleReward", Collected(first), StringComparison.Ordinal);

        using var later = new Exchanging(_root, versions.First, isSpread: true);
        Assert.Equal(0.5f, later.Score());
        Assert.False(later.Exchange.Uses(later.Exchange.Recorded()));
        later.Exchange.Use(later.Exchange.Recorded());
        Assert.Equal(0.25f, later.Score());
        Assert.True(later.Exchange.Uses(later.Exchange.Recorded()));
        Assert.Equal(first.Exchange.InUse, later.Exchange.InUse);
        Assert.Contains("SampleReward 1.0.0 is unloaded", Collected(later), StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_that_was_left_with_a_half_made_exchange_ends_it_as_it_is_written_when_it_is_asked_for_the_next()
    {
        using var run = new Exchanging(_root, versions.First, isSpread: true);
        foreach (var (id, isRecorded) in ((string, bool)[])[("dropped", false), ("kept", true)])
        {
            run.Exchange.Prepare(run.Exchange.Copied(new SwapRequest(id, "SampleReward", versions.Second)));
            run.Exchange.Switch(id);
            if (isRecorded)
                run.Exchange.Record(id, 3);
            var next = run.Exchange.Copied(new SwapRequest("after " + id, "SampleReward", isRecorded ? versions.First : versions.Second));
            Assert.Equal(isRecorded ? "2.0.0" : "1.0.0", run.Exchange.Prepare(next).Old);
        }
    }

    [Fact]
    public void Who_leads_a_run_does_not_take_for_a_change_what_another_took_over_before()
    {
        var first = new Exchanging(_root, versions.First, isSpread: true, isWatched: true);
        using var next = new Exchanging(_root, "", isSpread: true, isWatched: true);
        using (first)
        {
            first.Exchange.Lead(0);
            PluginVersions.Install(versions.Second, Path.Combine(_root, "plugins"), "SampleReward");
            first.Exchange.Changes();
            var change = Assert.Single(first.Exchange.Changes());
            first.Exchange.Prepare(first.Exchange.Copied(change with { Id = "id" }));
            first.Exchange.Switch("id");
            first.CommitAfter(3);
        }

        next.Exchange.Lead(3);
        Assert.Empty(Enumerable.Range(0, 4).SelectMany(_ => next.Exchange.Changes()));

        PluginVersions.Install(versions.OtherName, Path.Combine(_root, "plugins"), "SampleReward");
        Assert.Single(Enumerable.Range(0, 4).SelectMany(_ => next.Exchange.Changes()));
    }

    [Fact]
    public void A_copy_that_cannot_be_read_says_which_and_what_to_do()
    {
        using var run = new Exchanging(_root, versions.First, isSpread: true);
        var request = run.Exchange.Copied(new SwapRequest("id", "SampleReward", versions.Second));
        var copy = Path.Combine(_root, "run", "plugins", request.Copy!.Place);
        File.CreateSymbolicLink(Path.Combine(copy, "unreadable.dll"), Path.Combine(copy, "nowhere.dll"));

        foreach (var attempt in (Action[])[() => run.Exchange.Prepare(request), () => run.Exchange.Use([request.Copy])])
        {
            var error = Assert.Throws<UserErrorException>(attempt);
            Assert.StartsWith($"{copy}, where SampleReward from {versions.Second} was copied to, cannot be read: ", error.Message, StringComparison.Ordinal);
            Assert.EndsWith("then ask again, or start the node again.", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_version_that_hangs_while_it_is_loaded_is_refused_and_holds_up_nobody()
    {
        using var run = new Exchanging(_root, versions.First, isSpread: true, "flow.cancel-grace=2s");
        var request = run.Exchange.Copied(new SwapRequest("id", "SampleReward", versions.Hanging));
        var longest = TimeSpan.FromSeconds(60);
        UserErrorException? refusal = null;
        var asking = new Thread(() => refusal = Assert.Throws<UserErrorException>(() => run.Exchange.Prepare(request))) { IsBackground = true };
        asking.Start();
        Assert.True(SpinWait.SpinUntil(() => AppContext.TryGetSwitch("hangs", out _), longest), "Register was not called");

        // Whoever leads the run asks for these all the time.
        var usesNothing = false;
        var leading = new Thread(() => usesNothing = run.Exchange.InUse.Count == 0 && run.Exchange.Uses([])) { IsBackground = true };
        leading.Start();
        Assert.True(leading.Join(longest) && usesNothing, "the candidate was waited for");
        Assert.True(asking.IsAlive);
        Assert.True(asking.Join(longest), "it was waited for without a limit");

        Assert.Contains("did not return within 00:00:04, which is twice flow.cancel-grace", refusal!.Message, StringComparison.Ordinal);
        Assert.Contains("That thread is lost", refusal.Message, StringComparison.Ordinal);
        Assert.Same(refusal.Message, Assert.Throws<UserErrorException>(() => run.Exchange.Prepare(request)).Message);
        Assert.Equal("2.0.0", run.Exchange.Prepare(new SwapRequest("two", "SampleReward", versions.Second)).New);
    }

    [Fact]
    public void What_is_recorded_is_known_by_what_the_folder_holds_and_not_by_its_name()
    {
        using var run = new Exchanging(_root, versions.First, isSpread: true);
        var asked = new SwapRequest("id", "SampleReward", versions.Second);
        Assert.False(run.Exchange.IsRecorded(asked));
        run.Exchange.Prepare(run.Exchange.Copied(asked));
        run.Exchange.Switch("id");
        run.CommitAfter(3);

        Assert.True(run.Exchange.IsRecorded(asked));
        Assert.False(run.Exchange.IsRecorded(asked with { Folder = versions.First }));
        Assert.False(run.Exchange.IsRecorded(asked with { Plugin = "Another" }));
        Assert.Throws<UserErrorException>(() => run.Exchange.IsRecorded(asked with { Folder = _root }));
    }

    [Fact]
    public void A_record_that_cannot_be_read_says_so()
    {
        using var run = new Exchanging(_root, versions.First, isSpread: true);
        Directory.CreateDirectory(Path.Combine(_root, "run", "plugins"));
        File.WriteAllText(Path.Combine(_root, "run", "plugins", "in-use.json"), "{");
        Assert.Contains("in-use.json, which says which plugin versions the run has, cannot be read", Assert.Throws<UserErrorException>(run.Exchange.Recorded).Message, StringComparison.Ordinal);
    }

    private static IAdvantageEstimator Estimator(Exchanging run) => run.Node.For("experience").Resolve<IAdvantageEstimator>("sample-estimator");

    private static void AssertRefused(Exchanging run, string folder, string says)
    {
        var before = run.Score();
        Assert.Contains(says, Assert.Throws<UserErrorException>(() => run.Prepare(folder)).Message, StringComparison.Ordinal);
        Assert.Equal(before, run.Score());
    }

    private static string Collected(Exchanging run)
    {
        var told = Enumerable.Range(0, 100_000).SelectMany(_ => run.Exchange.Collect()).First();
        Assert.True(told.IsGone, told.Message);
        return told.Message;
    }

    private sealed class Exchanging : IDisposable
    {
        private readonly PluginCatalog _catalog;
        private readonly RunBinding _binding;

        public Exchanging(string root, string installed, params string[] settings)
            : this(root, installed, isSpread: false, settings)
        {
        }

        public Exchanging(string root, string installed, bool isSpread, params string[] settings)
            : this(root, installed, isSpread, isWatched: false, settings)
        {
        }

        public Exchanging(string root, string installed, bool isSpread, bool isWatched, params string[] settings)
        {
            var plugins = Path.Combine(root, "plugins");
            if (installed.Length > 0)
                PluginVersions.Install(installed, plugins, "SampleReward");
            const string text = "colossalchat { stage { use = ppo }\nmodels { policy { path = p }, reference { path = p }, critic { path = p, head = value } }\n"
                + "roles { prompts { files = [a.jsonl] }, reward { use = sample-reward } }\n}";
            var config = MemoryFiles.Load(text, settings);
            _catalog = PluginCatalog.Load([ShippedPlugins.Folder, plugins], RunBinder.PluginsOf(config).Pins, _ => { });
            _binding = new RunBinding(RunBinder.Bind(config, _catalog));
            var folder = new RunFolder(Directory.CreateDirectory(Path.Combine(root, "run")).FullName);
            Node = new NodeContext(NodeSetup.Of(_binding, folder.Path, SilentLog.Instance));
            var watch = isWatched ? new PluginWatch(new Dictionary<string, string> { ["SampleReward"] = Path.Combine(plugins, "SampleReward") }) : null;
            Exchange = new PluginExchange(_binding, Node, folder, watch, SilentLog.Instance, isSpread);
        }

        public NodeContext Node { get; }

        public PluginExchange Exchange { get; }

        public string CommitAfter(long iteration)
        {
            Exchange.Record("id", iteration);
            return Exchange.Commit("id");
        }

        public SwapOffer Prepare(string folder) => Exchange.Prepare(new SwapRequest("id", "SampleReward", folder));

        [MethodImpl(MethodImplOptions.NoInlining)]
        public IScoringRole Role() => Node.For("reward").Create(_binding.Current.Settings.Roles.Reward!);

        [MethodImpl(MethodImplOptions.NoInlining)]
        public float Score()
        {
            using var role = Role();
            return role.Score(PluginKit.SampleRollouts.Texts(new PluginKit.ByteTokenizer()), CancellationToken.None).Values.Values.Span[0];
        }

        public void Dispose()
        {
            Exchange.Dispose();
            Node.Dispose();
            _catalog.Dispose();
        }
    }
}
