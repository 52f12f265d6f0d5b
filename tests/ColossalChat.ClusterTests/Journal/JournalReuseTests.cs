using System.Collections.Immutable;
using Akka.Actor;
using ColossalChat.Contracts;
using ColossalChat.Journal;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>What a journal gives back for windows that weights of several versions write.</summary>
[Trait("Category", "CI")]
public sealed class JournalReuseTests : IAsyncDisposable
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(20);
    private static readonly BatchId s_batch = new(2, 0);
    private static readonly ImmutableSortedDictionary<string, string> s_none = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);
    private readonly RunHarness _run = new();
    private readonly IActorRef _journal;

    public JournalReuseTests()
    {
        var (folder, settings) = (_run.RunFolder, _run.Journal!);
        _journal = _run.System.ActorOf(Props.Create(() => new JournalActor(folder, settings, RunHarness.OnlinePlan.ScoresNeeded)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_pointer_is_kept_only_of_what_is_the_same(bool isSame)
    {
        var (first, second) = (Write(token: 5), Write(token: isSame ? 5 : 6));
        _journal.Tell(new BeginEpoch(1, 0));
        await OpenAsync(epoch: 1, iteration: 2);
        _journal.Tell(new KeepPart(1, s_batch, first, null));
        _journal.Tell(new BeginEpoch(2, 0));
        Assert.Equal([0], (await OpenAsync(epoch: 2, iteration: 2)).Keys);

        _journal.Tell(new KeepPart(2, s_batch, second, null));
        await _journal.Ask<JournalClosed>(new CloseJournal(), s_longest);

        using var view = JournalView.Open(JournalFolder.Of(_run.RunFolder));
        var kept = Assert.Single(JournalParts.Read(view, JournalParts.OfEpoch(view, 2, 2))).Value.Rollout!;
        Assert.Equal(RolloutMark.Of(second), RolloutMark.Of(kept));
        Assert.Equal(isSame ? 1 : 0, view.Of(2).Count(record => record.Key.Type == RecordType.Reused));
    }

    [Theory]
    [InlineData(1, 2, true)]
    [InlineData(2, 3, false)]
    public async Task Values_of_a_critic_that_was_given_up_are_not_used_again(long before, long after, bool areUsed)
    {
        var rollout = Write(token: 5);
        _journal.Tell(new BeginEpoch(1, 0));
        foreach (var iteration in (long[])[1, 2, 3])
            await OpenAsync(epoch: 1, iteration);
        _journal.Tell(new KeepPart(1, s_batch, rollout, null));
        _journal.Tell(new KeepHandOut(1, before, s_none));
        foreach (var kind in (ScoreKind[])[ScoreKind.Values, ScoreKind.Rewards])
            _journal.Tell(new KeepPart(1, s_batch, null, new FakeScorer(_run.World, kind).Score(rollout, default)));
        _journal.Tell(new KeepHandOut(1, after, s_none));
        // Iteration 2, which would have made version 3, is given up.
        _journal.Tell(new BeginEpoch(2, 1));

        var parts = Assert.Single(await OpenAsync(epoch: 2, iteration: 2)).Value;

        Assert.NotNull(parts.Rollout);
        Assert.Equal((areUsed, true), (parts.Scores.ContainsKey(ScoreKind.Values), parts.Scores.ContainsKey(ScoreKind.Rewards)));
    }

    public async ValueTask DisposeAsync() => await _run.DisposeAsync();

    private async Task<ImmutableSortedDictionary<int, BatchParts>> OpenAsync(long epoch, long iteration) =>
        (await _journal.Ask<WindowOpened>(new OpenWindow(epoch, iteration, 1, s_none) { Staleness = 2 }, s_longest)).Parts;

    private Rollout Write(int token)
    {
        var role = new FakeRollout(_run.World);
        role.LoadWeights(new WeightsPublication("policy", 1, 1, "hash", null), default);
        var answers = role.Generate(new FakePrompts(_run.World).Take(s_batch, 0, 1, 1), default);
        return answers with { Tokens = new Ragged<int>(answers.Tokens.Offsets, answers.Tokens.Values.ToArray().Select(_ => token).ToArray()) };
    }
}
